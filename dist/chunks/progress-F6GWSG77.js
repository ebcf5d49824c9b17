import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{logProgress,progressBar}from"./chunk-FVFNDCLO.js";import"./chunk-PZRP5LUY.js";import"./chunk-ZAYWLSNV.js";export{logProgress,progressBar};
