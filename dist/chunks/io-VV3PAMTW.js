import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{parsePart,parseReport,readPart,readReport,serialiseReport}from"./chunk-7474X7OK.js";import"./chunk-CLEIP3XC.js";import"./chunk-BAXAQBTT.js";import"./chunk-SIPJD53H.js";import"./chunk-ZAYWLSNV.js";export{parsePart,parseReport,readPart,readReport,serialiseReport};
