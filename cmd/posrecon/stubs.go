package main

import "github.com/spf13/cobra"

func newCases(a *app) *cobra.Command    { return &cobra.Command{Use: "cases"} }
func newServe(a *app) *cobra.Command    { return &cobra.Command{Use: "serve"} }
func newCheck(a *app) *cobra.Command    { return &cobra.Command{Use: "check"} }
func newSimulate(a *app) *cobra.Command { return &cobra.Command{Use: "simulate"} }
func newDemo(a *app) *cobra.Command     { return &cobra.Command{Use: "demo"} }
