# What is refused before anything is made, each with a sentence that says what would do.

mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "google" {
  alias  = "billing"
  source = "./tests/mocks"
}

variables {
  project           = "any-project"
  layers            = 4
  tables            = ["fly"]
  bigtable_instance = "graphs"
}

run "project_number" {
  command = plan
  variables {
    project = "123456789012"
  }
  expect_failures = [var.project]
}

run "layer_one" {
  command = plan
  variables {
    layers = 1
  }
  expect_failures = [var.layers]
}

run "half_a_layer" {
  command = plan
  variables {
    layers = 4.5
  }
  expect_failures = [var.layers]
}

run "no_table" {
  command = plan
  variables {
    tables = []
  }
  expect_failures = [var.tables]
}

run "table_with_a_slash" {
  command = plan
  variables {
    tables = ["fly/tables/other"]
  }
  expect_failures = [var.tables]
}

run "more_tables_than_a_condition_holds" {
  command = plan
  variables {
    tables = ["fly0", "fly1", "fly2", "fly3", "fly4", "fly5", "fly6", "fly7", "fly8", "fly9", "fly10", "fly11", "fly12"]
  }
  expect_failures = [var.tables]
}

run "bucket_with_protocol" {
  command = plan
  variables {
    input_buckets = ["gs://edges"]
  }
  expect_failures = [var.input_buckets]
}

run "prefix_too_long" {
  command = plan
  variables {
    prefix = "chunkedgraph-ingest-of-us"
  }
  expect_failures = [var.prefix]
}

run "default_database" {
  command = plan
  variables {
    database = "(default)"
  }
  expect_failures = [var.database]
}

run "nodes_upside_down" {
  command = plan
  variables {
    bigtable_cluster = { zone = "z", min_nodes = 3, max_nodes = 2 }
  }
  expect_failures = [var.bigtable_cluster]
}

run "small_subnet" {
  command = plan
  variables {
    subnet_range = "10.0.0.0/27"
  }
  expect_failures = [var.subnet_range]
}

run "machine_too_large" {
  command = plan
  variables {
    machine = { max_memory_gib = 64 }
  }
  expect_failures = [var.machine]
}

run "machine_that_shrinks" {
  command = plan
  variables {
    machine = { growth = 0.5 }
  }
  expect_failures = [var.machine]
}

run "fleet_too_large" {
  command = plan
  variables {
    fleet = { max = 10001 }
  }
  expect_failures = [var.fleet]
}

run "fleet_that_does_not_grow" {
  command = plan
  variables {
    fleet = { factor = 1 }
  }
  expect_failures = [var.fleet]
}

run "task_too_long" {
  command = plan
  variables {
    task = { timeout_hours = 169 }
  }
  expect_failures = [var.task]
}

run "too_many_retries" {
  command = plan
  variables {
    task = { max_retries = 11 }
  }
  expect_failures = [var.task]
}

run "override_of_layer_one" {
  command = plan
  variables {
    by_layer = { "1" = { cpu = 1 } }
  }
  expect_failures = [var.by_layer]
}

run "three_cpus" {
  command = plan
  variables {
    by_layer = { "3" = { cpu = 3 } }
  }
  expect_failures = [var.by_layer]
}

run "more_memory_than_there_is" {
  command = plan
  variables {
    by_layer = { "3" = { memory_gib = 33 } }
  }
  expect_failures = [var.by_layer]
}

run "override_without_tasks" {
  command = plan
  variables {
    by_layer = { "3" = { max = 0 } }
  }
  expect_failures = [var.by_layer]
}

run "retention_beyond_a_month" {
  command = plan
  variables {
    retention_days = 32
  }
  expect_failures = [var.retention_days]
}

run "handoffs_deleted_too_soon" {
  command = plan
  variables {
    handoff_days = 7
  }
  expect_failures = [var.handoff_days]
}

run "progress_each_minute" {
  command = plan
  variables {
    no_progress_minutes = 1
  }
  expect_failures = [var.no_progress_minutes]
}

run "billing_account" {
  command = plan
  variables {
    budget = { billing_account = "mine", amount = 1 }
  }
  expect_failures = [var.budget]
}

run "little_cpu_for_the_memory" {
  command = plan
  variables {
    by_layer = { "3" = { cpu = 1, memory_gib = 5 } }
  }
  expect_failures = [google_cloud_run_v2_job.layer]
}

run "little_memory_for_the_cpus" {
  command = plan
  variables {
    by_layer = { "3" = { cpu = 8, memory_gib = 2 } }
  }
  expect_failures = [google_cloud_run_v2_job.layer]
}

run "half_a_task" {
  command = plan
  variables {
    fleet = { start = 1.5 }
  }
  expect_failures = [var.fleet]
}

run "more_processes_than_cpus" {
  command = plan
  variables {
    by_layer = { "3" = { processes = 9 } }
  }
  expect_failures = [var.by_layer]
}
