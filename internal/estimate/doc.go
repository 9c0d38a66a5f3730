// Package estimate says what a run will cost before it is started: parameters and
// FLOPs, bytes on every rank, traffic on the ring, seconds per step.
//
// All of it is arithmetic on the spec: [New] counts exactly what internal/train
// will allocate and send. Only the seconds need a rate: of an earlier run, or
// measured by kernels.MatMulRate within a second.
//
// memory.go is the table of what takes memory on a rank's device, hostmem.go how much
// this host has, traffic.go what goes round the ring.
package estimate
