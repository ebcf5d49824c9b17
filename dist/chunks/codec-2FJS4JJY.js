import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{dequantised,numbers}from"./chunk-3MTQNMFU.js";import"./chunk-WAMMOOZD.js";import"./chunk-3ZIW6OTR.js";import"./chunk-2E5SUJN2.js";import"./chunk-L24LOMTS.js";import"./chunk-QIKPCNG7.js";import"./chunk-SIPJD53H.js";import"./chunk-ZAYWLSNV.js";export{dequantised,numbers};
