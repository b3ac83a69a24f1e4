-- Uploads of 1 MB, with the summary of all runs.
dofile("scripts/bench/summary.lua")
wrk.method = "POST"
wrk.body = string.rep("u", 1024 * 1024)
