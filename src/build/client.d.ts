export declare function compileClient(): Promise<{ text: string; inputs: string[] }>
