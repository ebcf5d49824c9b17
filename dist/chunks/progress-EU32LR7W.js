import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{logProgress,progressBar}from"./chunk-XR6LYEGN.js";import"./chunk-KEYS7OYM.js";import"./chunk-ZAYWLSNV.js";export{logProgress,progressBar};
