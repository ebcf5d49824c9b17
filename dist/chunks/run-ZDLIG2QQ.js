import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{run}from"./chunk-5P5EQLVP.js";import"./chunk-3HWJWVOF.js";import"./chunk-YKSSCK3U.js";import"./chunk-2PRE3IW5.js";import"./chunk-CVPDWOF6.js";import"./chunk-MJWQA22Z.js";import"./chunk-JO5R3PT6.js";import"./chunk-ZAYWLSNV.js";export{run};
