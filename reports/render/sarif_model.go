package render

// The part of SARIF 2.1.0 that is written: sections 3.13 to 3.58 of the standard.

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifTool `json:"driver"`
	} `json:"tool"`
	Automation struct {
		ID string `json:"id"`
	} `json:"automationDetails"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	Properties  sarifProperties   `json:"properties"`
}

type sarifTool struct {
	Name            string      `json:"name"`
	Version         string      `json:"version,omitempty"`
	SemanticVersion string      `json:"semanticVersion,omitempty"`
	Rules           []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID    string       `json:"id"`
	Short sarifMessage `json:"shortDescription"`
	Full  sarifMessage `json:"fullDescription"`
	Help  sarifMessage `json:"help"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

// messageOf escapes a text.
func messageOf(text string) sarifMessage { return sarifMessage{Text: EscapeSARIF(text)} }

type sarifInvocation struct {
	Successful bool        `json:"executionSuccessful"`
	Notes      []sarifNote `json:"toolExecutionNotifications,omitempty"`
}

type sarifNote struct {
	Level   string       `json:"level"`
	Message sarifMessage `json:"message"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Kind         string            `json:"kind"`
	Level        string            `json:"level"`
	Message      sarifMessage      `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints sarifFingerprints `json:"partialFingerprints"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region sarifRegion `json:"region"`
	} `json:"physicalLocation"`
	Logical []sarifLogical `json:"logicalLocations"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn"`
	EndLine     int `json:"endLine"`
	EndColumn   int `json:"endColumn"`
}

type sarifLogical struct {
	Name     string `json:"name"`
	FullName string `json:"fullyQualifiedName"`
	Kind     string `json:"kind"`
}

// sarifFingerprints hold the one that GitHub uses.
type sarifFingerprints struct {
	Line string `json:"primaryLocationLineHash"`
}

type sarifProperties struct {
	Runtime        string   `json:"runtime"`
	RuntimeVersion string   `json:"runtimeVersion,omitempty"`
	Rung           string   `json:"rung"`
	Kernel         string   `json:"kernel,omitempty"`
	CgroupMode     string   `json:"cgroupMode,omitempty"`
	Lacks          []string `json:"lacks,omitempty"`
	Absent         []string `json:"absent,omitempty"`
	Idle           []string `json:"idle,omitempty"`
	Unasked        []string `json:"unasked,omitempty"`
}

func escapeAll(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, EscapeTerminal(s))
	}
	return out
}
