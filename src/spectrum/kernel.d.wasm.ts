/** The compiled kernel, put in by the build. */
declare const bytes: Uint8Array<ArrayBuffer>
export default bytes
