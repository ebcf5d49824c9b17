import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{renderDescription,renderText}from"./chunk-3BZF4RHJ.js";import"./chunk-L224FWZG.js";import"./chunk-CVPDWOF6.js";import"./chunk-CLEIP3XC.js";import"./chunk-ZAYWLSNV.js";export{renderDescription,renderText};
