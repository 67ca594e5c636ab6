# The front door. Every target does the set-up that it needs: on a fresh Debian 12 with git and make,
# `make demo` alone and `make test` alone both work. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := /usr/bin/python3
RELEASE := build/release
SUITES ?= tidy unit integration deploy

# Where there is a ccache, what one checkout has compiled serves another. Debug information may then
# name the other one's folder.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
# What ccache asks for where headers are precompiled.
export CCACHE_SLOPPINESS := pch_defines,time_macros

# Two installations of Debian packages at once hinder each other. Ninja runs what can be run at once.
.NOTPARALLEL:

.PHONY: help deps configure build demo test bench fuzz tidy deploy-check clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

# A group of Debian packages is looked at once per checkout, and again when the list changes.
build/deps-%.done: .ci/deps
	@.ci/deps $*
	@mkdir -p build && touch $@

deps: $(patsubst %,build/deps-%.done,build run test fuzz bench)  ## install missing Debian packages

# Ninja knows what is stale; asking it each time is cheap.
configure: build/deps-build.done
	@cmake --preset release $(CMAKE_ARGS) >build/configure.log || { cat build/configure.log; exit 1; }

build: configure  ## build/release/crossfade
	@cmake --build --preset release --target crossfade

demo: build build/deps-run.done  ## live canaries between two real servers, of Redis and of PostgreSQL
	@$(PYTHON) demo/demo.py --binary $(RELEASE)/crossfade
	@printf '\n%s\n\n' '--- The same for PostgreSQL ---'
	@$(PYTHON) demo/pg_demo.py --binary $(RELEASE)/crossfade

# Sanitizers and fuzzers are built with clang.
CLANG_SUITES := $(filter asan tsan fuzz,$(SUITES))
test: configure build/deps-run.done build/deps-test.done $(CLANG_SUITES:%=build/deps-fuzz.done)  ## tidy, unit and integration tests, real drivers, deploy/
	@cmake --build --preset release
	@$(PYTHON) tests/run.py $(SUITES)

bench: configure build/deps-run.done build/deps-bench.done  ## cost beside relay, haproxy, nutcracker, pgbouncer
	@cmake --build --preset release --target crossfade relay pingpong micro_write_order
	@$(PYTHON) bench/wire.py --build $(RELEASE) $(BENCH_ARGS)
	@$(PYTHON) bench/postgres_wire.py --build $(RELEASE) $(PG_BENCH_ARGS)

fuzz: build/deps-build.done build/deps-run.done build/deps-fuzz.done  ## short runs of every fuzz target
	@$(PYTHON) tests/run.py fuzz

tidy: build/deps-run.done build/deps-test.done  ## the repository's rules, checked over source text
	@$(PYTHON) tests/tidy/tidy.py

# IMAGE=1: also the steps of the Dockerfile, in clean Debian roots. That takes minutes.
deploy-check: build build/deps-run.done build/deps-test.done $(if $(filter 1,$(IMAGE)),build/deps-image.done)  ## manifests, the image (IMAGE=1: its steps), its container
	@CROSSFADE_IMAGE=$(IMAGE) $(PYTHON) tests/run.py deploy

clean:  ## remove build/
	rm -rf build
