package launch

import "time"

// A coordinator that keeps crashing as soon as it is started is not started again
// for ever.
const (
	shortLife = time.Second
	maxShort  = 3 // in succession
)

// supervise starts the coordinator again for as long as it crashes, and returns the
// one that ended otherwise, or was the last.
func (c *Cluster) supervise(p *process) *process {
	short := 0
	for c.restarted != nil && c.again != nil && p.exit.crashed() && short < maxShort {
		if time.Since(p.started) < shortLife {
			short++
		} else {
			short = 0
		}
		next := c.replace(*p.exit)
		if next == nil {
			return p
		}
		p = next
		<-p.ended
	}
	return p
}

// replace starts the coordinator again, unless the cluster is about to end; nil if
// it cannot be started.
func (c *Cluster) replace(e Exit) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil
	}
	c.restarted(e)
	p, err := c.again()
	if err != nil {
		return nil
	}
	c.processes[0] = p
	return p
}
