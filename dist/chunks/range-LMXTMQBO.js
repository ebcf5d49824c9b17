import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{checkRatio,readRange,unpackRange}from"./chunk-EEPL4ZHA.js";import"./chunk-WHGHIVDN.js";import"./chunk-V6ADKQA4.js";import"./chunk-JO5R3PT6.js";import"./chunk-ZAYWLSNV.js";export{checkRatio,readRange,unpackRange};
