import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);
import{QUANTISED_STORAGES,describeQuantised,torchQuantised}from"./chunk-3LH4MOQI.js";import"./chunk-V6ADKQA4.js";import"./chunk-JO5R3PT6.js";import"./chunk-ZAYWLSNV.js";export{QUANTISED_STORAGES,describeQuantised,torchQuantised};
