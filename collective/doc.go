// Package collective lets the ranks of a view reduce, gather and broadcast
// tensors over a ring.
//
// # What
//
// A Comm is one rank's seat in the ring of one generation. Its methods
// (AllReduce, ReduceScatter, AllGather, Broadcast, Barrier) are called by every
// rank, in the same order, with the same lengths. Whoever calls with another
// length, operation or Point is told so by its neighbour; nothing is added to
// the wrong bucket.
//
// # How
//
// Each rank sends to the next rank and receives from the previous one. A tensor
// of S bytes is cut into one segment per rank and every segment into chunks;
// n-1 hops sum a segment and n-1 more hand the sum round, so that every rank
// sends exactly 2(n-1)/n * S bytes (Patarasuk and Yuan, "Bandwidth optimal
// all-reduce algorithms for clusters of workstations", 2009). Up to window
// chunks of each segment are under way at once: see circulate for the order, and
// for why it cannot deadlock. There is no barrier between hops, and chunks are
// forwarded as soon as they are added.
//
// The order of additions is fixed by the rank numbers, and all ranks end with
// the bytes that travelled, so results repeat exactly for a given world and are
// the same on all ranks.
//
// # Failure
//
// Both neighbours are watched all the time, by the frames they send: data, or a
// heartbeat every quarter of Config.Timeout. A neighbour may compute as long as
// it likes; one that is silent for Config.Timeout, or whose stream breaks, ends
// the Comm for good. The rank that notices sends an abort frame both ways, every
// rank passes it on once, and so all ranks return the same *Error, which names
// the first edge that broke. The next generation gets a new Comm.
//
// # Where next
//
// Transport is what a Comm runs on. Package collective/mem is the one for tests,
// with faults by coordinate; package collective/grpcring is the one for clusters,
// whose frames may go over the direct connections of package collective/tcpring.
// Frame, in frame.go, is the wire format; loan.go and place.go say how tensors are
// sent from and received in the memory they lie in; package collective/adder adds.
package collective
