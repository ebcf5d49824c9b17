import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{run}from"./chunk-GG4GDJ3P.js";import"./chunk-3HWJWVOF.js";import"./chunk-NF5ULBHO.js";import"./chunk-LGNGM3L6.js";import"./chunk-CVPDWOF6.js";import"./chunk-2OPX3ZNK.js";import"./chunk-JO5R3PT6.js";import"./chunk-ZAYWLSNV.js";export{run};
