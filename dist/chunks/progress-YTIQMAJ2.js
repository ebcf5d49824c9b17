import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{logProgress,progressBar}from"./chunk-FC36JVZC.js";import"./chunk-L224FWZG.js";import"./chunk-ZAYWLSNV.js";export{logProgress,progressBar};
