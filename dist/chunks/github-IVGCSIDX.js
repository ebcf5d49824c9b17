import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{context,getOctokit}from"./chunk-2JLU5SFY.js";import"./chunk-BIFF2UOL.js";import"./chunk-YZASLWB7.js";export{context,getOctokit};
