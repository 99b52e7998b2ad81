-- ARGV: key.
redis.call('DEL', value)
forget(ARGV[1])
return 'ok'
