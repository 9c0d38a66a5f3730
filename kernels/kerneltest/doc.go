// Package kerneltest is the conformance suite that every backend passes.
//
//	func TestConformance(t *testing.T) {
//		kerneltest.Run(t, kerneltest.Float32, kerneltest.Candidate{Name: "cpu", Open: open})
//	}
//
// # How a check works
//
// A check is a program: it makes its inputs on a device, enqueues operations
// there, and forgets about it. The suite runs it twice on each backend under test
// and once on the oracle (kernels/ref), with the same random numbers, rounded to
// the backend's types before either sees them, and then compares
//
//   - the two runs on the backend, which must agree to the last bit;
//   - every element of every buffer that the program made with the oracle's.
//     So an operation that writes to its inputs, or writes too little, is caught
//     without anybody having listed what to look at: outputs start as NaN.
//   - what lies between and around the elements (see layout), which is NaN, must
//     stay NaN, and shows in the results when it is read.
//
// [RunThreads] runs the same programs with several numbers of threads and wants
// identical bits.
//
// What is no formula (copies, events, allocation) has checks of its own in
// queue.go.
//
// # Where next
//
// run.go for the entry points, program.go for what programs are written in, then
// one file per operation with the shapes it is tried at.
package kerneltest
