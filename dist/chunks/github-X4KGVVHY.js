import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{context,getOctokit}from"./chunk-ZXDKI75Y.js";import"./chunk-BREYBAHZ.js";import"./chunk-ZAYWLSNV.js";export{context,getOctokit};
