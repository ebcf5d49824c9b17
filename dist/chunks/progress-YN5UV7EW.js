import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{logProgress,progressBar}from"./chunk-BCAYSAJM.js";import"./chunk-VCNVKQSM.js";import"./chunk-YZASLWB7.js";export{logProgress,progressBar};
