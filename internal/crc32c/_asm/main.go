// Command asm writes the assembly of package crc32c, fold_amd64.s, and its Go
// declaration, fold_amd64.go.
package main

import (
	"bytes"
	"log"
	"os"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

const (
	vectorBytes = 64
	vectors     = 4 // in a block
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("asm: ")
	ctx := build.NewContext()
	fold(ctx)
	if err := write(ctx, "../fold_amd64"); err != nil {
		log.Fatal(err)
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
	cfg := printer.Config{Name: "internal/crc32c/_asm", Argv: []string{"go", "generate"}, Pkg: "crc32c"}
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

// fold emits, for each block, rest = rest[even] * by[0] + rest[odd] * by[1] + block,
// where the words of 64 bits are polynomials and the products without carries.
func fold(ctx *build.Context) {
	ctx.Function("fold")
	ctx.Attributes(attr.NOSPLIT)
	ctx.SignatureExpr("func(rest *[256]byte, blocks []byte, by *[2]uint64)")
	ctx.Pragma("noescape")
	ctx.Doc("fold adds whole blocks to what is left of those before.")
	rest := ctx.Load(ctx.Param("rest"), ctx.GP64())
	at := ctx.Load(ctx.Param("blocks").Base(), ctx.GP64())
	end := ctx.Load(ctx.Param("blocks").Len(), ctx.GP64())
	ctx.ADDQ(at, end)
	by := ctx.ZMM()
	ctx.VBROADCASTI32X4(operand.Mem{Base: ctx.Load(ctx.Param("by"), ctx.GP64())}, by)
	var sums, evens [vectors]reg.VecVirtual
	vector := func(base reg.Register, i int) operand.Mem { return operand.Mem{Base: base, Disp: i * vectorBytes} }
	for i := range vectors {
		sums[i], evens[i] = ctx.ZMM(), ctx.ZMM()
		ctx.VMOVDQU64(vector(rest, i), sums[i])
	}
	ctx.Label("loop")
	ctx.CMPQ(at, end)
	ctx.JGE(operand.LabelRef("done"))
	for i := range vectors {
		ctx.VPCLMULQDQ(operand.U8(0x00), by, sums[i], evens[i])
		ctx.VPCLMULQDQ(operand.U8(0x11), by, sums[i], sums[i])
		ctx.VPTERNLOGQ(operand.U8(0x96), vector(at, i), evens[i], sums[i]) // the sum of all three
	}
	ctx.ADDQ(operand.I32(vectors*vectorBytes), at)
	ctx.JMP(operand.LabelRef("loop"))
	ctx.Label("done")
	for i := range vectors {
		ctx.VMOVDQU64(sums[i], vector(rest, i))
	}
	ctx.VZEROUPPER()
	ctx.RET()
}
