import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{checkRatio,readRange,unpackRange}from"./chunk-ZN7FOTDB.js";import"./chunk-2E5SUJN2.js";import"./chunk-L24LOMTS.js";import"./chunk-QIKPCNG7.js";import"./chunk-SIPJD53H.js";import"./chunk-ZAYWLSNV.js";export{checkRatio,readRange,unpackRange};
