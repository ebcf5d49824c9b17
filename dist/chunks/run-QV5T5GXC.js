import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{run}from"./chunk-FSPBNV65.js";import"./chunk-3HWJWVOF.js";import"./chunk-EFHFH44A.js";import"./chunk-S2EWFETN.js";import"./chunk-YZASLWB7.js";export{run};
