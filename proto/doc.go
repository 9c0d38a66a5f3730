// Package proto holds the wire contract, [parallax/v1/parallax.proto], and the
// Go code generated from it (package parallaxv1, in the contract's folder).
//
// The generated files are committed, so building Parallax needs no generator.
// After a change of the contract, regenerate them:
//
//	go generate ./proto/...
//
// That needs the Go toolchain and the module proxy, no protoc: the generator is
// the module in _gen, whose dependencies are pinned there and stay out of
// Parallax's own. Frame and Piece carry tensor bytes and are never encoded as
// generated: packages collective/grpcring and internal/transfer have codecs of
// their own.
package proto

//go:generate go run -C _gen . parallax/v1/parallax.proto
