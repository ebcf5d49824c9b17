import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{dequantised,numbers}from"./chunk-RP6O6XKF.js";import"./chunk-WAMMOOZD.js";import"./chunk-7KV6CTPD.js";import"./chunk-2E5SUJN2.js";import"./chunk-L24LOMTS.js";import"./chunk-266JKMUO.js";import"./chunk-SIPJD53H.js";import"./chunk-ZAYWLSNV.js";export{dequantised,numbers};
