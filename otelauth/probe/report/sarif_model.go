// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report

// The objects of SARIF 2.1.0 that a report needs, by the names of the standard.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool              sarifTool                `json:"tool"`
		AutomationDetails sarifID                  `json:"automationDetails"`
		Invocations       []sarifInvocation        `json:"invocations"`
		OriginalURIs      map[string]sarifArtifact `json:"originalUriBaseIds"`
		Taxonomies        []sarifComponent         `json:"taxonomies"`
		Results           []sarifResult            `json:"results"`
		Properties        map[string]any           `json:"properties,omitempty"`
		ColumnKind        string                   `json:"columnKind"`
	}
	sarifTool struct {
		Driver sarifComponent `json:"driver"`
	}
	sarifID struct {
		ID string `json:"id"`
	}
	sarifComponent struct {
		Name           string            `json:"name"`
		Version        string            `json:"version,omitempty"`
		Organization   string            `json:"organization,omitempty"`
		InformationURI string            `json:"informationUri,omitempty"`
		Short          *sarifText        `json:"shortDescription,omitempty"`
		Supported      []sarifReference  `json:"supportedTaxonomies,omitempty"`
		Rules          []sarifDescriptor `json:"rules,omitempty"`
		Taxa           []sarifDescriptor `json:"taxa,omitempty"`
	}
	sarifReference struct {
		Name  string `json:"name"`
		Index int    `json:"index"`
	}
	sarifDescriptor struct {
		ID            string              `json:"id"`
		Name          string              `json:"name,omitempty"`
		Short         *sarifText          `json:"shortDescription,omitempty"`
		Full          *sarifText          `json:"fullDescription,omitempty"`
		Help          *sarifText          `json:"help,omitempty"`
		HelpURI       string              `json:"helpUri,omitempty"`
		Default       *sarifDefault       `json:"defaultConfiguration,omitempty"`
		Relationships []sarifRelationship `json:"relationships,omitempty"`
		Properties    map[string]any      `json:"properties,omitempty"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifRelationship struct {
		Target sarifTarget `json:"target"`
		Kinds  []string    `json:"kinds"`
	}
	sarifTarget struct {
		ID        string         `json:"id"`
		Index     int            `json:"index"`
		Component sarifReference `json:"toolComponent"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Start         string              `json:"startTimeUtc,omitempty"`
		End           string              `json:"endTimeUtc,omitempty"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Kind         string             `json:"kind"`
		Level        string             `json:"level"`
		Rank         float64            `json:"rank"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions"`
		Request      *sarifRequest      `json:"webRequest,omitempty"`
		Response     *sarifResponse     `json:"webResponse,omitempty"`
		Properties   map[string]any     `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI    string `json:"uri"`
		BaseID string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		FullName string `json:"fullyQualifiedName"`
		Kind     string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string         `json:"kind"`
		Status        string         `json:"status"`
		Justification string         `json:"justification"`
		Properties    map[string]any `json:"properties,omitempty"`
	}
	sarifRequest struct {
		Protocol string            `json:"protocol"`
		Version  string            `json:"version"`
		Target   string            `json:"target"`
		Method   string            `json:"method"`
		Headers  map[string]string `json:"headers,omitempty"`
		Body     *sarifText        `json:"body,omitempty"`
	}
	sarifResponse struct {
		Protocol string            `json:"protocol,omitempty"`
		Version  string            `json:"version,omitempty"`
		Status   int               `json:"statusCode,omitempty"`
		Headers  map[string]string `json:"headers,omitempty"`
		Body     *sarifText        `json:"body,omitempty"`
		None     bool              `json:"noResponseReceived"`
	}
)
