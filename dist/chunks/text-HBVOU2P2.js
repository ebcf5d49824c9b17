import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{renderDescription,renderText}from"./chunk-7MUE4LRW.js";import"./chunk-KEYS7OYM.js";import"./chunk-CVPDWOF6.js";import"./chunk-BSF6CQI5.js";import"./chunk-ZAYWLSNV.js";export{renderDescription,renderText};
