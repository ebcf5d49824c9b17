import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{logProgress,progressBar}from"./chunk-SN7XSI5A.js";import"./chunk-VCNVKQSM.js";import"./chunk-ZAYWLSNV.js";export{logProgress,progressBar};
