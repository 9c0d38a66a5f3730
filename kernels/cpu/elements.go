package cpu

// elementsPerTask is how many elements of an elementwise operation are one task.
const elementsPerTask = 16384

// elementTasks is the number of tasks of n elements.
func elementTasks(n int) int { return ceilDiv(n, elementsPerTask) }

// elementRange is the part of n elements that a task works on.
func elementRange(task, n int) (lo, hi int) {
	lo = task * elementsPerTask
	return lo, min(lo+elementsPerTask, n)
}

// rowTasks cuts rows of cols elements into tasks of a fixed number of rows.
func rowTasks(rows, cols int) (tasks, rowsPer int) {
	rowsPer = max(1, elementsPerTask/max(1, cols))
	return ceilDiv(rows, rowsPer), rowsPer
}
