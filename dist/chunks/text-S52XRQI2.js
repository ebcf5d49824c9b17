import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{renderDescription,renderText}from"./chunk-EB6HN67L.js";import"./chunk-PZRP5LUY.js";import"./chunk-CVPDWOF6.js";import"./chunk-SZFYXDIS.js";import"./chunk-ZAYWLSNV.js";export{renderDescription,renderText};
