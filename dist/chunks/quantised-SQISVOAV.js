import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{QUANTISED_STORAGES,describeQuantised,torchQuantised}from"./chunk-CUBEZDZE.js";import"./chunk-3WOA7INH.js";import"./chunk-SIPJD53H.js";import"./chunk-ZAYWLSNV.js";export{QUANTISED_STORAGES,describeQuantised,torchQuantised};
