collect_ignore = ["tests"]          # lesson tests of the sample course: run by tito, on a learner's package
