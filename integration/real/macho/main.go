// Command macho prints what macOS reads of an executable before it starts it: the CPU, whether it is signed, and the
// libraries that it needs.
package main

import (
	"debug/macho"
	"fmt"
	"log"
	"os"
	"slices"
)

const codeSignature = 0x1d // LC_CODE_SIGNATURE, without which no arm64 Mac starts a program

func main() {
	log.SetFlags(0)
	log.SetPrefix("macho: error: ")
	f, err := macho.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		log.Fatal(err)
	}
	isSignature := func(l macho.Load) bool { return f.ByteOrder.Uint32(l.Raw()) == codeSignature }
	fmt.Printf("%v %v, signed: %t\n", f.Cpu, f.Type, slices.ContainsFunc(f.Loads, isSignature))
	for _, library := range libraries {
		fmt.Println(library)
	}
}
