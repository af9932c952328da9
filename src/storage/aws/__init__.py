"""The AWS world: jobs and claims in DynamoDB, previews there too, files in S3, messages in SQS.

What it needs to find there (`schema` has the tables as data). All key attributes are of type S:

=============== ====================== ============================================= ====================
table           primary key            global secondary indexes (projection ALL)     TTL attribute (N, s)
=============== ====================== ============================================= ====================
jobs            `job_id`               `by_owner`: `owner`, `created_at`;            `expires_at`
                                       `unsent` (sparse): `unsent`, `created_at`
preview_cache   `blueprint_hash`       none                                          `expires_at`
=============== ====================== ============================================= ====================

Claims are items of the jobs table whose `job_id` begins with `claim#`, which no job's id does; they carry neither
`owner` nor `unsent`, so that no index has them. `unsent` is on a pending job until its message was sent.

What a role must be allowed to do:

- on the jobs table GetItem, PutItem, UpdateItem, DeleteItem, and Query on its indexes; on preview_cache GetItem,
  PutItem, DeleteItem;
- on both buckets ListBucket (without it S3 calls a missing key forbidden) and ListBucketVersions; on their objects
  GetObject, PutObject, DeleteObject, DeleteObjectVersion, AbortMultipartUpload;
- on the queue SendMessage, ReceiveMessage, DeleteMessage, ChangeMessageVisibility, GetQueueAttributes.
"""
