import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{parsePart,parseReport,readPart,readReport,serialiseReport}from"./chunk-EZUXOBTM.js";import"./chunk-BSF6CQI5.js";import"./chunk-RKJEFM6W.js";import"./chunk-SIPJD53H.js";import"./chunk-ZAYWLSNV.js";export{parsePart,parseReport,readPart,readReport,serialiseReport};
