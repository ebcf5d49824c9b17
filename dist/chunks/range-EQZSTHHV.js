import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{checkRatio,readRange,unpackRange}from"./chunk-5RETHXTB.js";import"./chunk-3WOA7INH.js";import"./chunk-RKJEFM6W.js";import"./chunk-SIPJD53H.js";import"./chunk-ZAYWLSNV.js";export{checkRatio,readRange,unpackRange};
