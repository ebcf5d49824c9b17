import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{QUANTISED_STORAGES,describeQuantised,torchQuantised}from"./chunk-UO2IDEV7.js";import"./chunk-2E5SUJN2.js";import"./chunk-L24LOMTS.js";import"./chunk-SIPJD53H.js";import"./chunk-ZAYWLSNV.js";export{QUANTISED_STORAGES,describeQuantised,torchQuantised};
