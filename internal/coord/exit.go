package coord

// Exit codes of a coordinator and its nodes.
const (
	ExitDone       = 0  // trained, or stopped as asked
	ExitUsage      = 2  // wrong configuration or use, or nowhere to save: the same again fails again
	ExitQuorumLost = 69 // a node that the run needs is lost
	ExitBug        = 70 // what must not happen
	ExitRequeue    = 75 // checkpointed; start it again later
)
