// Command asm writes the assembly of package cpu: for each unit the file
// UNIT_amd64.s and the Go declarations UNIT_amd64.go beside the package.
//
// Every kernel is described once, on [simd], and emitted for AVX-512 and for
// AVX2 with FMA; only the micro-kernel's shape and the transposes differ. The
// suffix of a function's name says which one it is. The Go twin of each kernel,
// with the suffix Portable, is its definition.
package main

import (
	"bytes"
	"log"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// units are the files, each with what it emits for one instruction set.
var units = []struct {
	name string
	emit func(s *simd)
}{
	{"tile", tiles},
	{"pack", packUnit},
	{"softmax", softmaxUnit},
	{"headloss", headlossUnit},
	{"rows", rowsUnit},
	{"optim", optimUnit},
	{"convert", convertUnit},
	{"quantize", quantizeUnit},
	{"amx", amxUnit},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("asm: ")
	dir := ".."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for _, u := range units {
		ctx := build.NewContext()
		for _, s := range versions(ctx) {
			u.emit(s)
		}
		if err := write(ctx, filepath.Join(dir, u.name+"_amd64")); err != nil {
			log.Fatalf("%s: %v", u.name, err)
		}
	}
}

// write compiles the context and prints assembly and declarations.
func write(ctx *build.Context, path string) error {
	file, err := ctx.Result()
	if err != nil {
		return err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return err
	}
	cfg := printer.Config{Name: "kernels/cpu/_asm", Argv: []string{"go", "generate"}, Pkg: "cpu"}
	for suffix, p := range map[string]printer.Printer{".s": printer.NewGoAsm(cfg), ".go": printer.NewStubs(cfg)} {
		out, err := p.Print(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path+suffix, bytes.TrimLeft(out, "\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
