variable "name" {
  description = "The function's name on Google Cloud, and its account's."
  type        = string
}

variable "entry_point" {
  description = "The name of its file in functions/, and of the Python function in it."
  type        = string
}

variable "description" {
  description = "What it does, in one sentence."
  type        = string
}

variable "project_id" {
  description = "The project that it belongs to."
  type        = string
}

variable "region" {
  description = "Where it runs."
  type        = string
}

variable "runtime" {
  description = "Google's name of the Python that it runs on."
  type        = string
}

variable "archive" {
  description = "Where its source is."
  type        = object({ bucket = string, object = string })
}

variable "builder" {
  description = "Who builds its image, and where the image goes."
  type        = object({ account = string, images = string })
}

variable "ingress" {
  description = "From where it can be reached."
  type        = string
}

variable "invokers" {
  description = "Who may call it: IAM members, under names that are known before the members are."
  type        = map(string)
}

variable "settings" {
  description = "Its environment."
  type        = map(string)
}

variable "secrets" {
  description = "The secrets that it holds, by the environment variable that carries each."
  type        = map(object({ id = string, version = number }))
}

variable "timeout" {
  description = "Seconds until a request is given up."
  type        = number
}

variable "scaling" {
  description = "How many instances there may be, and how many requests each takes at once."
  type        = object({ min = number, max = number, concurrency = number })
}
