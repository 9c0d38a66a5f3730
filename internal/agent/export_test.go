package agent

import "context"

// RunUntilKilled is Run for a node that dies without a word when kill is closed:
// all its connections break at once.
func RunUntilKilled(ctx context.Context, o Options, kill <-chan struct{}) error {
	a := newAgent(o)
	defer a.close()
	if err := a.begin(ctx); err != nil {
		a.giveUp(err)
		return err
	}
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-kill:
			a.end()
			a.server.Stop()
		case <-over:
		}
	}()
	return a.obey(ctx)
}
