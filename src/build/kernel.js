import asc from 'assemblyscript/asc'

/** Compiles the AssemblyScript kernel: WebAssembly with fixed-width SIMD, the same bytes for the same sources. */
export async function compileKernel() {
  let binary
  const { error, stderr } = await asc.main(
    [
      'src/spectrum/kernel/index.ts',
      '--outFile=kernel.wasm',
      '-O3',
      '--noAssert',
      '--enable=simd',
      '--runtime=stub',
      '--maximumMemory=65536',
    ],
    {
      writeFile: (name, contents) => {
        if (name === 'kernel.wasm') binary = contents
      },
    },
  )
  if (error) throw new Error(`the kernel does not compile:\n${stderr}`)
  return binary
}

/** For esbuild: `import wasm from './kernel.wasm'` is the compiled kernel, as bytes. */
export async function kernelPlugin() {
  const contents = await compileKernel()
  return {
    name: 'kernel',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /kernel\.wasm$/ }, () => ({ path: 'kernel.wasm', namespace: 'kernel' }))
      onLoad({ filter: /.*/, namespace: 'kernel' }, () => ({ contents, loader: 'binary' }))
    },
  }
}
