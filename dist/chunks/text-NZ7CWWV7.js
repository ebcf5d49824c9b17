import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{renderDescription,renderText}from"./chunk-E5KCI725.js";import"./chunk-L224FWZG.js";import"./chunk-KVCBISSB.js";import"./chunk-CVPDWOF6.js";import"./chunk-ZAYWLSNV.js";export{renderDescription,renderText};
