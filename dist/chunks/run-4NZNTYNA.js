import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{run}from"./chunk-2CCGTK5A.js";import"./chunk-3HWJWVOF.js";import"./chunk-4BAV2B3H.js";import"./chunk-7ZPWQ25T.js";import"./chunk-CVPDWOF6.js";import"./chunk-EEONTUGY.js";import"./chunk-JO5R3PT6.js";import"./chunk-ZAYWLSNV.js";export{run};
