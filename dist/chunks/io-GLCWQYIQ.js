import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{parsePart,parseReport,readPart,readReport,serialiseReport}from"./chunk-3NQ5ZW22.js";import"./chunk-SZFYXDIS.js";import"./chunk-TCZVS7FC.js";import"./chunk-SIPJD53H.js";import"./chunk-ZAYWLSNV.js";export{parsePart,parseReport,readPart,readReport,serialiseReport};
