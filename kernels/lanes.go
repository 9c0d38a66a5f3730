package kernels

// Laner is implemented by backends that can carry out independent sequences of
// operations at the same time, each on a part of the device: a CPU, whose cores share
// out small operations badly.
type Laner interface {
	// Lanes is how many sequences run at the same time at most, 1 or more.
	Lanes() int
	// Deal calls sequence once for every i in [0, n), with the backend of a lane, to
	// which it gives its operations, and the lane's number. A lane has one sequence at a
	// time. They begin after everything enqueued before, and what is enqueued later
	// begins after them. What is computed is what the operations say, whatever the lane.
	Deal(n int, sequence func(be Backend, lane, i int))
}

// Lanes is how many lanes a backend has.
func Lanes(be Backend) int {
	if l, can := be.(Laner); can {
		return l.Lanes()
	}
	return 1
}

// Deal deals out n sequences that do not depend on each other: see [Laner]. A backend
// without lanes enqueues them one after the other.
func Deal(be Backend, n int, sequence func(be Backend, lane, i int)) {
	if l, can := be.(Laner); can {
		l.Deal(n, sequence)
		return
	}
	for i := range n {
		sequence(be, 0, i)
	}
}
