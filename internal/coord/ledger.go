package coord

import pb "parallax/proto/parallax/v1"

// Ledger keeps a run's record. It is called from one goroutine.
type Ledger interface {
	// Begin opens the record of a run, before its first event; nodes are those
	// of the first view, by rank.
	Begin(job Job, nodes []*pb.Hello) error
	// Append adds an event, in the order of sequence numbers.
	Append(job Job, e *pb.RunEvent) error
}

// record hands an event to the ledger. A ledger that fails does not end the run:
// the first failure is told, and the record ends there.
func (c *Coordinator) record(e *pb.RunEvent) {
	if c.o.Ledger == nil || c.core.job == nil {
		return
	}
	job := *c.core.job
	var err error
	if e.GetStarted() != nil {
		err = c.o.Ledger.Begin(job, c.core.hellos())
	}
	if err == nil {
		err = c.o.Ledger.Append(job, e)
	}
	if err != nil {
		c.o.Ledger = nil
		c.log.Error("the record ends here, the run goes on", "cause", err)
		c.publish(noticeEvent(nil, true, "the run's record ends here, since it cannot be written: %s", err))
	}
}
