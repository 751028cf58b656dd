package render

import (
	"regexp"
	"strings"
	"sync"
)

// What a run calls its own objects: its id, or that and the number of a trial.
const (
	runWord   = "RUN"
	trialWord = "TRIAL"
)

type replacement struct {
	find    *regexp.Regexp
	replace string
}

// made are names and numbers that the kernel or the library chose: those of temporary files, of
// processes and of threads.
var made = sync.OnceValue(func() []replacement {
	return []replacement{
		{regexp.MustCompile(`\b([a-z]+-)\d{6,}\b`), "${1}TEMPORARY"}, // os.MkdirTemp
		{regexp.MustCompile(`\b(process|pid|thread|tid|task) \d+\b`), "${1} N"},
		{regexp.MustCompile(`/proc/\d+\b`), "/proc/N"},
	}
})

// stable takes out of a text what is new in every run: the names of the run's own objects, with the
// path before them, which says where this machine keeps its cgroups and temporary files; and numbers
// that somebody chose at the time. Both texts are escaped for a terminal.
func stable(s, run string) string {
	if run != "" {
		// No quote, space or colon is part of a path of ours.
		own := regexp.MustCompile(`(?:/[^\s"':;,]*)?` + regexp.QuoteMeta(run) + `(-\d+)?`)
		s = own.ReplaceAllStringFunc(s, func(found string) string {
			if strings.HasSuffix(found, run) {
				return runWord
			}
			return trialWord
		})
	}
	for _, m := range made() {
		s = m.find.ReplaceAllString(s, m.replace)
	}
	return s
}
