BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('dc11669786a5');
CREATE TABLE "assessments" (
	assessment_id VARCHAR(50) NOT NULL, 
	trace_id VARCHAR(50) NOT NULL, 
	name VARCHAR(250) NOT NULL, 
	assessment_type VARCHAR(20) NOT NULL, 
	value TEXT NOT NULL, 
	error TEXT, 
	created_timestamp BIGINT NOT NULL, 
	last_updated_timestamp BIGINT NOT NULL, 
	source_type VARCHAR(50) NOT NULL, 
	source_id VARCHAR(250), 
	run_id VARCHAR(32), 
	span_id VARCHAR(50), 
	rationale TEXT, 
	overrides VARCHAR(50), 
	valid BOOLEAN NOT NULL, 
	assessment_metadata TEXT, 
	experiment_id INTEGER, 
	trace_timestamp_ms BIGINT, 
	aggregate_value FLOAT, 
	is_numeric_value BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT assessments_pk PRIMARY KEY (assessment_id), 
	CONSTRAINT fk_assessments_trace_id FOREIGN KEY(trace_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE budget_policies (
	budget_policy_id VARCHAR(36) NOT NULL, 
	budget_unit VARCHAR(32) NOT NULL, 
	budget_amount FLOAT NOT NULL, 
	duration_unit VARCHAR(32) NOT NULL, 
	duration_value INTEGER NOT NULL, 
	target_scope VARCHAR(32) NOT NULL, 
	budget_action VARCHAR(32) NOT NULL, 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, target_value VARCHAR(255), 
	CONSTRAINT budget_policies_pk PRIMARY KEY (budget_policy_id)
);
CREATE TABLE "datasets" (
	dataset_uuid VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(500) NOT NULL, 
	digest VARCHAR(36) NOT NULL, 
	dataset_source_type VARCHAR(36) NOT NULL, 
	dataset_source TEXT NOT NULL, 
	dataset_schema TEXT, 
	dataset_profile TEXT, 
	CONSTRAINT dataset_pk PRIMARY KEY (experiment_id, name, digest), 
	CONSTRAINT fk_datasets_experiment_id_experiments FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
CREATE TABLE endpoint_bindings (
	endpoint_id VARCHAR(36) NOT NULL, 
	resource_type VARCHAR(50) NOT NULL, 
	resource_id VARCHAR(255) NOT NULL, 
	created_at BIGINT NOT NULL, 
	created_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), display_name VARCHAR(255), 
	CONSTRAINT endpoint_bindings_pk PRIMARY KEY (endpoint_id, resource_type, resource_id), 
	CONSTRAINT fk_endpoint_bindings_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);
CREATE TABLE endpoint_model_mappings (
	mapping_id VARCHAR(36) NOT NULL, 
	endpoint_id VARCHAR(36) NOT NULL, 
	model_definition_id VARCHAR(36) NOT NULL, 
	weight FLOAT NOT NULL, 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, linkage_type VARCHAR(64) DEFAULT 'PRIMARY' NOT NULL, fallback_order INTEGER, 
	CONSTRAINT endpoint_model_mappings_pk PRIMARY KEY (mapping_id), 
	CONSTRAINT fk_endpoint_model_mappings_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE, 
	CONSTRAINT fk_endpoint_model_mappings_model_definition_id FOREIGN KEY(model_definition_id) REFERENCES model_definitions (model_definition_id)
);
CREATE TABLE endpoint_tags (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	endpoint_id VARCHAR(36) NOT NULL, 
	CONSTRAINT endpoint_tag_pk PRIMARY KEY ("key", endpoint_id), 
	CONSTRAINT fk_endpoint_tags_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);
CREATE TABLE "endpoints" (
	endpoint_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255), 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	routing_strategy VARCHAR(64), 
	fallback_config_json TEXT, 
	experiment_id INTEGER, 
	usage_tracking BOOLEAN DEFAULT '0' NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT endpoints_pk PRIMARY KEY (endpoint_id), 
	CONSTRAINT fk_endpoints_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE SET NULL, 
	CONSTRAINT uq_endpoints_workspace_name UNIQUE (workspace, name)
);
CREATE TABLE entity_associations (
	association_id VARCHAR(36) NOT NULL, 
	source_type VARCHAR(36) NOT NULL, 
	source_id VARCHAR(36) NOT NULL, 
	destination_type VARCHAR(36) NOT NULL, 
	destination_id VARCHAR(36) NOT NULL, 
	created_time BIGINT, 
	CONSTRAINT entity_associations_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
CREATE TABLE "evaluation_dataset_records" (
	dataset_record_id VARCHAR(36) NOT NULL, 
	dataset_id VARCHAR(36) NOT NULL, 
	inputs JSON NOT NULL, 
	expectations JSON, 
	tags JSON, 
	source JSON, 
	source_id VARCHAR(36), 
	source_type VARCHAR(255), 
	created_time BIGINT, 
	last_update_time BIGINT, 
	created_by VARCHAR(255), 
	last_updated_by VARCHAR(255), 
	input_hash VARCHAR(64) NOT NULL, outputs JSON, 
	CONSTRAINT evaluation_dataset_records_pk PRIMARY KEY (dataset_record_id), 
	CONSTRAINT fk_evaluation_dataset_records_dataset_id FOREIGN KEY(dataset_id) REFERENCES evaluation_datasets (dataset_id) ON DELETE CASCADE, 
	CONSTRAINT unique_dataset_input UNIQUE (dataset_id, input_hash)
);
CREATE TABLE evaluation_dataset_tags (
	dataset_id VARCHAR(36) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	value VARCHAR(5000), 
	CONSTRAINT evaluation_dataset_tags_pk PRIMARY KEY (dataset_id, "key"), 
	CONSTRAINT fk_evaluation_dataset_tags_dataset_id FOREIGN KEY(dataset_id) REFERENCES evaluation_datasets (dataset_id) ON DELETE CASCADE
);
CREATE TABLE "evaluation_datasets" (
	dataset_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	schema TEXT, 
	profile TEXT, 
	digest VARCHAR(64), 
	created_time BIGINT, 
	last_update_time BIGINT, 
	created_by VARCHAR(255), 
	last_updated_by VARCHAR(255), 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT evaluation_datasets_pk PRIMARY KEY (dataset_id)
);
CREATE TABLE "experiment_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value TEXT, 
	experiment_id INTEGER NOT NULL, 
	CONSTRAINT experiment_tag_pk PRIMARY KEY ("key", experiment_id), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE "experiments" (
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	artifact_location VARCHAR(256), 
	lifecycle_stage VARCHAR(32), 
	creation_time BIGINT, 
	last_update_time BIGINT, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT experiment_pk PRIMARY KEY (experiment_id), 
	CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	CONSTRAINT uq_experiments_workspace_name UNIQUE (workspace, name)
);
INSERT INTO "experiments" VALUES(0,'Default','mlflow-artifacts:/0','active',1796071081711,1796071081711,'default');
INSERT INTO "experiments" VALUES(1,'before-feast-ops','mlflow-artifacts:/1','active',1796071101713,1796071101713,'default');
INSERT INTO "experiments" VALUES(2,'before','mlflow-artifacts:/2','active',1796071139544,1796071139544,'default');
CREATE TABLE guardrail_configs (
	endpoint_id VARCHAR(36) NOT NULL, 
	guardrail_id VARCHAR(36) NOT NULL, 
	execution_order INTEGER, 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT guardrail_configs_pk PRIMARY KEY (endpoint_id, guardrail_id), 
	CONSTRAINT fk_guardrail_configs_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE, 
	CONSTRAINT fk_guardrail_configs_guardrail_id FOREIGN KEY(guardrail_id) REFERENCES guardrails (guardrail_id) ON DELETE CASCADE
);
CREATE TABLE guardrails (
	guardrail_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	scorer_id VARCHAR(36) NOT NULL, 
	scorer_version INTEGER NOT NULL, 
	stage VARCHAR(32) NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	action_endpoint_id VARCHAR(36), 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT guardrails_pk PRIMARY KEY (guardrail_id), 
	CONSTRAINT fk_guardrails_scorer_version FOREIGN KEY(scorer_id, scorer_version) REFERENCES scorer_versions (scorer_id, scorer_version), 
	CONSTRAINT fk_guardrails_action_endpoint_id FOREIGN KEY(action_endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE SET NULL
);
CREATE TABLE input_tags (
	input_uuid VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	value VARCHAR(500) NOT NULL, 
	CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name)
);
CREATE TABLE inputs (
	input_uuid VARCHAR(36) NOT NULL, 
	source_type VARCHAR(36) NOT NULL, 
	source_id VARCHAR(36) NOT NULL, 
	destination_type VARCHAR(36) NOT NULL, 
	destination_id VARCHAR(36) NOT NULL, step BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT inputs_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
INSERT INTO "inputs" VALUES('ce9a01a35eab45f5bdc590e93a7ac280','RUN_OUTPUT','6f8a6feaafdb4b34a0263b7266a0a7ec','MODEL_OUTPUT','m-bc73172c26cd425990ea5ab1710e613e',0);
INSERT INTO "inputs" VALUES('2a1bb1994b654529b5114dc783bdabb1','RUN_OUTPUT','0a2b7e9681a548d49c224ac4191d435f','MODEL_OUTPUT','m-6ec967f75b5d45f0a33f424386aa950f',0);
INSERT INTO "inputs" VALUES('936245821bc041309c33bb01a00e0e1c','RUN_OUTPUT','6ae7a3fc2a824dc69e432578fbe9e323','MODEL_OUTPUT','m-162ac7831f8e47639906cd5732c691a5',0);
INSERT INTO "inputs" VALUES('f3484c8f0e59473296d9543365d2dbcc','RUN_OUTPUT','0a68c7632cc049268d7ec6cc2d321a01','MODEL_OUTPUT','m-bd5bad60ef484006874d2963f35bddf0',0);
INSERT INTO "inputs" VALUES('05e4ce13808646edbfff4ae94c1f9d4c','RUN_OUTPUT','3efbc4b3b6484bf18fcdd03a5223e169','MODEL_OUTPUT','m-5d2a7fee2bbe462eb9d5b03aff9c2a14',0);
INSERT INTO "inputs" VALUES('c146d2ef7d4e42c8837b776a51c9bc5c','RUN_OUTPUT','e3bb31e9e00c4d4e83c07c144c01259e','MODEL_OUTPUT','m-f01d99ca1a1045a4927ce3e50423ccce',0);
INSERT INTO "inputs" VALUES('6bc6d9b671c04e3bad06a570c2f177b2','RUN_OUTPUT','18c77e4be09f4e6e9cff868edab61130','MODEL_OUTPUT','m-7b95a7349cac42fea9abe1655391012b',0);
CREATE TABLE issues (
	issue_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(250) NOT NULL, 
	description TEXT NOT NULL, 
	status VARCHAR(50) NOT NULL, 
	severity VARCHAR(50), 
	root_causes TEXT, 
	source_run_id VARCHAR(32), 
	categories TEXT, 
	created_timestamp BIGINT NOT NULL, 
	last_updated_timestamp BIGINT NOT NULL, 
	created_by VARCHAR(255), 
	CONSTRAINT issues_pk PRIMARY KEY (issue_id), 
	CONSTRAINT fk_issues_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE, 
	CONSTRAINT fk_issues_source_run_id FOREIGN KEY(source_run_id) REFERENCES runs (run_uuid) ON DELETE SET NULL
);
CREATE TABLE job_locks (
	lock_key VARCHAR(255) NOT NULL, 
	job_id VARCHAR(36) NOT NULL, 
	acquired_at BIGINT NOT NULL, 
	CONSTRAINT job_locks_pk PRIMARY KEY (lock_key), 
	CONSTRAINT fk_job_locks_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE "jobs" (
	id VARCHAR(36) NOT NULL, 
	creation_time BIGINT NOT NULL, 
	job_name VARCHAR(500) NOT NULL, 
	params TEXT NOT NULL, 
	timeout FLOAT, 
	status INTEGER NOT NULL, 
	result TEXT, 
	retry_count INTEGER NOT NULL, 
	last_update_time BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, status_details JSON, creator VARCHAR(255), executor_backend VARCHAR(255), lease_expires_at BIGINT, status_message TEXT, progress JSON, progress_updated_at BIGINT, token_hash VARCHAR(64), scoped_permissions JSON, next_attempt_at BIGINT, 
	CONSTRAINT jobs_pk PRIMARY KEY (id)
);
CREATE TABLE label_schemas (
	schema_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(250) NOT NULL, 
	type VARCHAR(16) NOT NULL, 
	instruction TEXT, 
	enable_comment BOOLEAN DEFAULT '0' NOT NULL, 
	input_type VARCHAR(32) NOT NULL, 
	input_config TEXT NOT NULL, 
	created_by VARCHAR(255), 
	created_time BIGINT NOT NULL, 
	last_update_time BIGINT NOT NULL, 
	is_default BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT label_schemas_pk PRIMARY KEY (schema_id), 
	CONSTRAINT fk_label_schemas_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE, 
	CONSTRAINT uq_label_schemas_exp_name UNIQUE (experiment_id, name)
);
CREATE TABLE "latest_metrics" (
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT NOT NULL, 
	timestamp BIGINT, 
	step BIGINT NOT NULL, 
	is_nan BOOLEAN NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT latest_metric_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid), 
	CHECK (is_nan IN (0, 1))
);
INSERT INTO "latest_metrics" VALUES('feast.apply.feature_views_count',3.0,1796071100961,0,0,'d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "latest_metrics" VALUES('feast.apply.feature_services_count',4.0,1796071100961,0,0,'d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "latest_metrics" VALUES('feast.apply.entities_count',1.0,1796071100961,0,0,'d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "latest_metrics" VALUES('feast.materialize.duration_sec',1.531,1796071108843,0,0,'76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "latest_metrics" VALUES('featurelineage.io/rows/odd',2.0,1796071108843,0,0,'76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "latest_metrics" VALUES('featurelineage.io/seconds/odd',1.255,1796071108843,0,0,'76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "latest_metrics" VALUES('featurelineage.io/rows/other',2.0,1796071108843,0,0,'76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "latest_metrics" VALUES('featurelineage.io/seconds/other',0.119,1796071108843,0,0,'76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "latest_metrics" VALUES('featurelineage.io/rows/stats',2.0,1796071108843,0,0,'76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "latest_metrics" VALUES('featurelineage.io/seconds/stats',0.157,1796071108843,0,0,'76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "latest_metrics" VALUES('feast.job_submission_sec',0.0214,1796071140644,0,0,'6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "latest_metrics" VALUES('feast.job_submission_sec',0.0008,1796071155287,0,0,'0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "latest_metrics" VALUES('feast.job_submission_sec',0.5821,1796071162851,0,0,'6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "latest_metrics" VALUES('feast.job_submission_sec',0.0276,1796071163864,0,0,'0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "latest_metrics" VALUES('feast.job_submission_sec',0.0127,1796071168370,0,0,'3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "latest_metrics" VALUES('feast.job_submission_sec',0.0012,1796071172484,0,0,'e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "latest_metrics" VALUES('feast.job_submission_sec',0.0174,1796071176027,0,0,'18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "latest_metrics" VALUES('feast.apply.feature_views_count',1.0,1796071218372,0,0,'21318ac45e46467189df77eb48bd1de0');
INSERT INTO "latest_metrics" VALUES('feast.apply.feature_services_count',1.0,1796071218372,0,0,'21318ac45e46467189df77eb48bd1de0');
INSERT INTO "latest_metrics" VALUES('feast.apply.entities_count',0.0,1796071218372,0,0,'21318ac45e46467189df77eb48bd1de0');
INSERT INTO "latest_metrics" VALUES('feast.apply.feature_views_count',0.0,1796071235289,0,0,'eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "latest_metrics" VALUES('feast.apply.feature_services_count',0.0,1796071235289,0,0,'eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "latest_metrics" VALUES('feast.apply.entities_count',0.0,1796071235289,0,0,'eae90fd3821b4ee3ae23c6de5e488fa1');
CREATE TABLE logged_model_metrics (
	model_id VARCHAR(36) NOT NULL, 
	metric_name VARCHAR(500) NOT NULL, 
	metric_timestamp_ms BIGINT NOT NULL, 
	metric_step BIGINT NOT NULL, 
	metric_value FLOAT, 
	experiment_id INTEGER NOT NULL, 
	run_id VARCHAR(32) NOT NULL, 
	dataset_uuid VARCHAR(36), 
	dataset_name VARCHAR(500), 
	dataset_digest VARCHAR(36), 
	CONSTRAINT logged_model_metrics_pk PRIMARY KEY (model_id, metric_name, metric_timestamp_ms, metric_step, run_id), 
	CONSTRAINT fk_logged_model_metrics_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CONSTRAINT fk_logged_model_metrics_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE, 
	CONSTRAINT fk_logged_model_metrics_run_id FOREIGN KEY(run_id) REFERENCES runs (run_uuid) ON DELETE CASCADE
);
INSERT INTO "logged_model_metrics" VALUES('m-bc73172c26cd425990ea5ab1710e613e','feast.job_submission_sec',1796071140644,0,0.0214,2,'6f8a6feaafdb4b34a0263b7266a0a7ec',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-6ec967f75b5d45f0a33f424386aa950f','feast.job_submission_sec',1796071155287,0,0.0008,2,'0a2b7e9681a548d49c224ac4191d435f',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-162ac7831f8e47639906cd5732c691a5','feast.job_submission_sec',1796071158915,0,0.0007,2,'6ae7a3fc2a824dc69e432578fbe9e323',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-bd5bad60ef484006874d2963f35bddf0','feast.job_submission_sec',1796071163864,0,0.0276,2,'0a68c7632cc049268d7ec6cc2d321a01',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-5d2a7fee2bbe462eb9d5b03aff9c2a14','feast.job_submission_sec',1796071167094,0,0.0212,2,'3efbc4b3b6484bf18fcdd03a5223e169',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-5d2a7fee2bbe462eb9d5b03aff9c2a14','feast.job_submission_sec',1796071168370,0,0.0127,2,'3efbc4b3b6484bf18fcdd03a5223e169',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-f01d99ca1a1045a4927ce3e50423ccce','feast.job_submission_sec',1796071172484,0,0.0012,2,'e3bb31e9e00c4d4e83c07c144c01259e',NULL,NULL,NULL);
INSERT INTO "logged_model_metrics" VALUES('m-7b95a7349cac42fea9abe1655391012b','feast.job_submission_sec',1796071176027,0,0.0174,2,'18c77e4be09f4e6e9cff868edab61130',NULL,NULL,NULL);
CREATE TABLE logged_model_params (
	model_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	param_key VARCHAR(255) NOT NULL, 
	param_value TEXT NOT NULL, 
	CONSTRAINT logged_model_params_pk PRIMARY KEY (model_id, param_key), 
	CONSTRAINT fk_logged_model_params_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CONSTRAINT fk_logged_model_params_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
CREATE TABLE logged_model_tags (
	model_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	tag_key VARCHAR(255) NOT NULL, 
	tag_value TEXT NOT NULL, 
	CONSTRAINT logged_model_tags_pk PRIMARY KEY (model_id, tag_key), 
	CONSTRAINT fk_logged_model_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CONSTRAINT fk_logged_model_tags_model_id FOREIGN KEY(model_id) REFERENCES logged_models (model_id) ON DELETE CASCADE
);
INSERT INTO "logged_model_tags" VALUES('m-bc73172c26cd425990ea5ab1710e613e',2,'mlflow.user','trainer');
INSERT INTO "logged_model_tags" VALUES('m-bc73172c26cd425990ea5ab1710e613e',2,'mlflow.source.name','tests/local/upgrade/record.py');
INSERT INTO "logged_model_tags" VALUES('m-bc73172c26cd425990ea5ab1710e613e',2,'mlflow.source.type','LOCAL');
INSERT INTO "logged_model_tags" VALUES('m-bc73172c26cd425990ea5ab1710e613e',2,'mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715');
INSERT INTO "logged_model_tags" VALUES('m-bc73172c26cd425990ea5ab1710e613e',2,'mlflow.source.git.branch','upgrade');
INSERT INTO "logged_model_tags" VALUES('m-bc73172c26cd425990ea5ab1710e613e',2,'mlflow.modelVersions','[{"name": "before-service", "version": 1}, {"name": "before-service", "version": "1"}]');
INSERT INTO "logged_model_tags" VALUES('m-6ec967f75b5d45f0a33f424386aa950f',2,'mlflow.user','trainer');
INSERT INTO "logged_model_tags" VALUES('m-6ec967f75b5d45f0a33f424386aa950f',2,'mlflow.source.name','tests/local/upgrade/record.py');
INSERT INTO "logged_model_tags" VALUES('m-6ec967f75b5d45f0a33f424386aa950f',2,'mlflow.source.type','LOCAL');
INSERT INTO "logged_model_tags" VALUES('m-6ec967f75b5d45f0a33f424386aa950f',2,'mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715');
INSERT INTO "logged_model_tags" VALUES('m-6ec967f75b5d45f0a33f424386aa950f',2,'mlflow.source.git.branch','upgrade');
INSERT INTO "logged_model_tags" VALUES('m-6ec967f75b5d45f0a33f424386aa950f',2,'mlflow.modelVersions','[{"name": "before-plain-list", "version": 1}, {"name": "before-plain-list", "version": "1"}]');
INSERT INTO "logged_model_tags" VALUES('m-162ac7831f8e47639906cd5732c691a5',2,'mlflow.user','trainer');
INSERT INTO "logged_model_tags" VALUES('m-162ac7831f8e47639906cd5732c691a5',2,'mlflow.source.name','tests/local/upgrade/record.py');
INSERT INTO "logged_model_tags" VALUES('m-162ac7831f8e47639906cd5732c691a5',2,'mlflow.source.type','LOCAL');
INSERT INTO "logged_model_tags" VALUES('m-162ac7831f8e47639906cd5732c691a5',2,'mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715');
INSERT INTO "logged_model_tags" VALUES('m-162ac7831f8e47639906cd5732c691a5',2,'mlflow.source.git.branch','upgrade');
INSERT INTO "logged_model_tags" VALUES('m-162ac7831f8e47639906cd5732c691a5',2,'mlflow.modelVersions','[{"name": "before-online-after", "version": 1}, {"name": "before-online-after", "version": "1"}]');
INSERT INTO "logged_model_tags" VALUES('m-bd5bad60ef484006874d2963f35bddf0',2,'mlflow.user','trainer');
INSERT INTO "logged_model_tags" VALUES('m-bd5bad60ef484006874d2963f35bddf0',2,'mlflow.source.name','tests/local/upgrade/record.py');
INSERT INTO "logged_model_tags" VALUES('m-bd5bad60ef484006874d2963f35bddf0',2,'mlflow.source.type','LOCAL');
INSERT INTO "logged_model_tags" VALUES('m-bd5bad60ef484006874d2963f35bddf0',2,'mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715');
INSERT INTO "logged_model_tags" VALUES('m-bd5bad60ef484006874d2963f35bddf0',2,'mlflow.source.git.branch','upgrade');
INSERT INTO "logged_model_tags" VALUES('m-bd5bad60ef484006874d2963f35bddf0',2,'mlflow.modelVersions','[{"name": "before-online-only", "version": 1}, {"name": "before-online-only", "version": "1"}]');
INSERT INTO "logged_model_tags" VALUES('m-5d2a7fee2bbe462eb9d5b03aff9c2a14',2,'mlflow.user','trainer');
INSERT INTO "logged_model_tags" VALUES('m-5d2a7fee2bbe462eb9d5b03aff9c2a14',2,'mlflow.source.name','tests/local/upgrade/record.py');
INSERT INTO "logged_model_tags" VALUES('m-5d2a7fee2bbe462eb9d5b03aff9c2a14',2,'mlflow.source.type','LOCAL');
INSERT INTO "logged_model_tags" VALUES('m-5d2a7fee2bbe462eb9d5b03aff9c2a14',2,'mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715');
INSERT INTO "logged_model_tags" VALUES('m-5d2a7fee2bbe462eb9d5b03aff9c2a14',2,'mlflow.source.git.branch','upgrade');
INSERT INTO "logged_model_tags" VALUES('m-5d2a7fee2bbe462eb9d5b03aff9c2a14',2,'mlflow.modelVersions','[{"name": "before-two-before", "version": 1}, {"name": "before-two-before", "version": "1"}]');
INSERT INTO "logged_model_tags" VALUES('m-f01d99ca1a1045a4927ce3e50423ccce',2,'mlflow.user','trainer');
INSERT INTO "logged_model_tags" VALUES('m-f01d99ca1a1045a4927ce3e50423ccce',2,'mlflow.source.name','tests/local/upgrade/record.py');
INSERT INTO "logged_model_tags" VALUES('m-f01d99ca1a1045a4927ce3e50423ccce',2,'mlflow.source.type','LOCAL');
INSERT INTO "logged_model_tags" VALUES('m-f01d99ca1a1045a4927ce3e50423ccce',2,'mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715');
INSERT INTO "logged_model_tags" VALUES('m-f01d99ca1a1045a4927ce3e50423ccce',2,'mlflow.source.git.branch','upgrade');
INSERT INTO "logged_model_tags" VALUES('m-f01d99ca1a1045a4927ce3e50423ccce',2,'mlflow.modelVersions','[{"name": "before-short-names", "version": 1}, {"name": "before-short-names", "version": "1"}]');
INSERT INTO "logged_model_tags" VALUES('m-7b95a7349cac42fea9abe1655391012b',2,'mlflow.user','trainer');
INSERT INTO "logged_model_tags" VALUES('m-7b95a7349cac42fea9abe1655391012b',2,'mlflow.source.name','tests/local/upgrade/record.py');
INSERT INTO "logged_model_tags" VALUES('m-7b95a7349cac42fea9abe1655391012b',2,'mlflow.source.type','LOCAL');
INSERT INTO "logged_model_tags" VALUES('m-7b95a7349cac42fea9abe1655391012b',2,'mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715');
INSERT INTO "logged_model_tags" VALUES('m-7b95a7349cac42fea9abe1655391012b',2,'mlflow.source.git.branch','upgrade');
INSERT INTO "logged_model_tags" VALUES('m-7b95a7349cac42fea9abe1655391012b',2,'mlflow.modelVersions','[{"name": "before-changed", "version": 1}, {"name": "before-changed", "version": "1"}]');
CREATE TABLE logged_models (
	model_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(500) NOT NULL, 
	artifact_location VARCHAR(1000) NOT NULL, 
	creation_timestamp_ms BIGINT NOT NULL, 
	last_updated_timestamp_ms BIGINT NOT NULL, 
	status INTEGER NOT NULL, 
	lifecycle_stage VARCHAR(32), 
	model_type VARCHAR(500), 
	source_run_id VARCHAR(32), 
	status_message VARCHAR(1000), 
	CONSTRAINT logged_models_pk PRIMARY KEY (model_id), 
	CONSTRAINT logged_models_lifecycle_stage_check CHECK (lifecycle_stage IN ('active', 'deleted')), 
	CONSTRAINT fk_logged_models_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
INSERT INTO "logged_models" VALUES('m-bc73172c26cd425990ea5ab1710e613e',2,'model','mlflow-artifacts:/2/models/m-bc73172c26cd425990ea5ab1710e613e/artifacts',1796071147176,1796071152570,2,'active','','6f8a6feaafdb4b34a0263b7266a0a7ec',NULL);
INSERT INTO "logged_models" VALUES('m-6ec967f75b5d45f0a33f424386aa950f',2,'model','mlflow-artifacts:/2/models/m-6ec967f75b5d45f0a33f424386aa950f/artifacts',1796071156268,1796071157005,2,'active','','0a2b7e9681a548d49c224ac4191d435f',NULL);
INSERT INTO "logged_models" VALUES('m-162ac7831f8e47639906cd5732c691a5',2,'model','mlflow-artifacts:/2/models/m-162ac7831f8e47639906cd5732c691a5/artifacts',1796071159795,1796071160476,2,'active','','6ae7a3fc2a824dc69e432578fbe9e323',NULL);
INSERT INTO "logged_models" VALUES('m-bd5bad60ef484006874d2963f35bddf0',2,'model','mlflow-artifacts:/2/models/m-bd5bad60ef484006874d2963f35bddf0/artifacts',1796071164108,1796071164737,2,'active','','0a68c7632cc049268d7ec6cc2d321a01',NULL);
INSERT INTO "logged_models" VALUES('m-5d2a7fee2bbe462eb9d5b03aff9c2a14',2,'model','mlflow-artifacts:/2/models/m-5d2a7fee2bbe462eb9d5b03aff9c2a14/artifacts',1796071169166,1796071170065,2,'active','','3efbc4b3b6484bf18fcdd03a5223e169',NULL);
INSERT INTO "logged_models" VALUES('m-f01d99ca1a1045a4927ce3e50423ccce',2,'model','mlflow-artifacts:/2/models/m-f01d99ca1a1045a4927ce3e50423ccce/artifacts',1796071173238,1796071173898,2,'active','','e3bb31e9e00c4d4e83c07c144c01259e',NULL);
INSERT INTO "logged_models" VALUES('m-7b95a7349cac42fea9abe1655391012b',2,'model','mlflow-artifacts:/2/models/m-7b95a7349cac42fea9abe1655391012b/artifacts',1796071177366,1796071178192,2,'active','','18c77e4be09f4e6e9cff868edab61130',NULL);
CREATE TABLE mcp_access_endpoints (
	id VARCHAR(36) NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	server_name VARCHAR(256) NOT NULL, 
	server_version VARCHAR(128), 
	server_alias VARCHAR(256), 
	url VARCHAR(2048) NOT NULL, 
	transport_type VARCHAR(32) DEFAULT 'streamable-http' NOT NULL, 
	created_by VARCHAR(256), 
	last_updated_by VARCHAR(256), 
	created_at BIGINT NOT NULL, 
	last_updated_at BIGINT NOT NULL, 
	CONSTRAINT mcp_access_endpoints_pk PRIMARY KEY (id), 
	CONSTRAINT mcp_access_endpoints_server_fkey FOREIGN KEY(workspace, server_name) REFERENCES mcp_servers (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE mcp_server_aliases (
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	alias VARCHAR(256) NOT NULL, 
	version VARCHAR(128) NOT NULL, 
	CONSTRAINT mcp_server_aliases_pk PRIMARY KEY (workspace, name, alias), 
	CONSTRAINT mcp_server_aliases_server_fkey FOREIGN KEY(workspace, name) REFERENCES mcp_servers (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE mcp_server_tags (
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	CONSTRAINT mcp_server_tags_pk PRIMARY KEY (workspace, name, "key"), 
	CONSTRAINT mcp_server_tags_server_fkey FOREIGN KEY(workspace, name) REFERENCES mcp_servers (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE mcp_server_version_tags (
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	version VARCHAR(128) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	CONSTRAINT mcp_server_version_tags_pk PRIMARY KEY (workspace, name, version, "key"), 
	CONSTRAINT mcp_server_version_tags_version_fkey FOREIGN KEY(workspace, name, version) REFERENCES mcp_server_versions (workspace, name, version) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE mcp_server_versions (
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	version VARCHAR(128) NOT NULL, 
	version_major INTEGER NOT NULL, 
	version_minor INTEGER NOT NULL, 
	version_patch INTEGER NOT NULL, 
	version_prerelease_sort_key VARCHAR(512) NOT NULL, 
	server_json JSON NOT NULL, 
	status VARCHAR(20) DEFAULT 'draft' NOT NULL, 
	tools JSON, 
	source VARCHAR(512), 
	connect_options JSON, 
	created_by VARCHAR(256), 
	last_updated_by VARCHAR(256), 
	created_at BIGINT NOT NULL, 
	last_updated_at BIGINT NOT NULL, 
	CONSTRAINT mcp_server_versions_pk PRIMARY KEY (workspace, name, version), 
	CONSTRAINT mcp_server_versions_server_fkey FOREIGN KEY(workspace, name) REFERENCES mcp_servers (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE mcp_servers (
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	display_name VARCHAR(256), 
	description TEXT, 
	icons JSON, 
	created_by VARCHAR(256), 
	last_updated_by VARCHAR(256), 
	created_at BIGINT NOT NULL, 
	last_updated_at BIGINT NOT NULL, 
	CONSTRAINT mcp_servers_pk PRIMARY KEY (workspace, name)
);
CREATE TABLE "metrics" (
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT NOT NULL, 
	timestamp BIGINT NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	step BIGINT DEFAULT '0' NOT NULL, 
	is_nan BOOLEAN DEFAULT '0' NOT NULL, 
	CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid), 
	CHECK (is_nan IN (0, 1))
);
INSERT INTO "metrics" VALUES('feast.apply.feature_views_count',3.0,1796071100961,'d899d70ec6fd4ff0b4eafecf13d1c033',0,0);
INSERT INTO "metrics" VALUES('feast.apply.feature_services_count',4.0,1796071100961,'d899d70ec6fd4ff0b4eafecf13d1c033',0,0);
INSERT INTO "metrics" VALUES('feast.apply.entities_count',1.0,1796071100961,'d899d70ec6fd4ff0b4eafecf13d1c033',0,0);
INSERT INTO "metrics" VALUES('feast.materialize.duration_sec',1.531,1796071108843,'76ba2009bc4441bcb25db6b6708c0705',0,0);
INSERT INTO "metrics" VALUES('featurelineage.io/rows/odd',2.0,1796071108843,'76ba2009bc4441bcb25db6b6708c0705',0,0);
INSERT INTO "metrics" VALUES('featurelineage.io/seconds/odd',1.255,1796071108843,'76ba2009bc4441bcb25db6b6708c0705',0,0);
INSERT INTO "metrics" VALUES('featurelineage.io/rows/other',2.0,1796071108843,'76ba2009bc4441bcb25db6b6708c0705',0,0);
INSERT INTO "metrics" VALUES('featurelineage.io/seconds/other',0.119,1796071108843,'76ba2009bc4441bcb25db6b6708c0705',0,0);
INSERT INTO "metrics" VALUES('featurelineage.io/rows/stats',2.0,1796071108843,'76ba2009bc4441bcb25db6b6708c0705',0,0);
INSERT INTO "metrics" VALUES('featurelineage.io/seconds/stats',0.157,1796071108843,'76ba2009bc4441bcb25db6b6708c0705',0,0);
INSERT INTO "metrics" VALUES('feast.job_submission_sec',0.0214,1796071140644,'6f8a6feaafdb4b34a0263b7266a0a7ec',0,0);
INSERT INTO "metrics" VALUES('feast.job_submission_sec',0.0008,1796071155287,'0a2b7e9681a548d49c224ac4191d435f',0,0);
INSERT INTO "metrics" VALUES('feast.job_submission_sec',0.0007,1796071158915,'6ae7a3fc2a824dc69e432578fbe9e323',0,0);
INSERT INTO "metrics" VALUES('feast.job_submission_sec',0.5821,1796071162851,'6ae7a3fc2a824dc69e432578fbe9e323',0,0);
INSERT INTO "metrics" VALUES('feast.job_submission_sec',0.0276,1796071163864,'0a68c7632cc049268d7ec6cc2d321a01',0,0);
INSERT INTO "metrics" VALUES('feast.job_submission_sec',0.0212,1796071167094,'3efbc4b3b6484bf18fcdd03a5223e169',0,0);
INSERT INTO "metrics" VALUES('feast.job_submission_sec',0.0127,1796071168370,'3efbc4b3b6484bf18fcdd03a5223e169',0,0);
INSERT INTO "metrics" VALUES('feast.job_submission_sec',0.0012,1796071172484,'e3bb31e9e00c4d4e83c07c144c01259e',0,0);
INSERT INTO "metrics" VALUES('feast.job_submission_sec',0.0174,1796071176027,'18c77e4be09f4e6e9cff868edab61130',0,0);
INSERT INTO "metrics" VALUES('feast.apply.feature_views_count',1.0,1796071218372,'21318ac45e46467189df77eb48bd1de0',0,0);
INSERT INTO "metrics" VALUES('feast.apply.feature_services_count',1.0,1796071218372,'21318ac45e46467189df77eb48bd1de0',0,0);
INSERT INTO "metrics" VALUES('feast.apply.entities_count',0.0,1796071218372,'21318ac45e46467189df77eb48bd1de0',0,0);
INSERT INTO "metrics" VALUES('feast.apply.feature_views_count',0.0,1796071235289,'eae90fd3821b4ee3ae23c6de5e488fa1',0,0);
INSERT INTO "metrics" VALUES('feast.apply.feature_services_count',0.0,1796071235289,'eae90fd3821b4ee3ae23c6de5e488fa1',0,0);
INSERT INTO "metrics" VALUES('feast.apply.entities_count',0.0,1796071235289,'eae90fd3821b4ee3ae23c6de5e488fa1',0,0);
CREATE TABLE "model_definitions" (
	model_definition_id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	secret_id VARCHAR(36), 
	provider VARCHAR(64) NOT NULL, 
	model_name VARCHAR(256) NOT NULL, 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT model_definitions_pk PRIMARY KEY (model_definition_id), 
	CONSTRAINT fk_model_definitions_secret_id FOREIGN KEY(secret_id) REFERENCES secrets (secret_id) ON DELETE SET NULL, 
	CONSTRAINT uq_model_definitions_workspace_name UNIQUE (workspace, name)
);
CREATE TABLE "model_version_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value TEXT, 
	name VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT model_version_tag_pk PRIMARY KEY (workspace, "key", name, version), 
	CONSTRAINT fk_model_version_tags_model_versions FOREIGN KEY(workspace, name, version) REFERENCES model_versions (workspace, name, version) ON UPDATE CASCADE
);
INSERT INTO "model_version_tags" VALUES('feast.feature_service','svc_a','before-service',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_service','svc_a','before-plain-list',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_service','svc_a','before-online-after',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_service','svc_a','before-online-only',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_service','svc_a','before-two-before',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_service','svc_a','before-short-names',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_service','svc_other','before-changed',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-from','Training','before-changed',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-digest','2a9ed36e12a3ba5874e1cc0a35302d5b2fba932eb524cd18ec3a261da8e0dd42','before-changed',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/revision','sha256:36409b70c92e4fd1a3e9133a0af572169afb9226bd7da7a5e07d6583dfeb7231','before-changed',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/registry-digest','fcbd61c559727e1a3ceb70073cd85d3b0c2f8056c7edb4d7603f710ef445c3ea','before-changed',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/verdict','Broken','before-changed',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.project','before','before-changed',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_views','other','before-changed',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_count','2','before-changed',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_refs','other:left,other:kept','before-changed',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-from','Training','before-online-after',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-digest','d79b2a3d2e8589b4e8a2309418da3f27d46d4b3da683b52d844e271d08d2e6c7','before-online-after',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/revision','sha256:36409b70c92e4fd1a3e9133a0af572169afb9226bd7da7a5e07d6583dfeb7231','before-online-after',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/registry-digest','fcbd61c559727e1a3ceb70073cd85d3b0c2f8056c7edb4d7603f710ef445c3ea','before-online-after',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/verdict','Verified','before-online-after',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.project','before','before-online-after',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_views','stats','before-online-after',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_count','1','before-online-after',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_refs','stats:acc_rate','before-online-after',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-from','Training','before-online-only',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-digest','4603313c520d541c1a1c5b42e2ffd8d76ecc2dea5323c3038de106a6e0e2d2c3','before-online-only',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/revision','sha256:36409b70c92e4fd1a3e9133a0af572169afb9226bd7da7a5e07d6583dfeb7231','before-online-only',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/registry-digest','fcbd61c559727e1a3ceb70073cd85d3b0c2f8056c7edb4d7603f710ef445c3ea','before-online-only',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/verdict','Verified','before-online-only',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.project','before','before-online-only',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_views','stats','before-online-only',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_count','2','before-online-only',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_refs','stats:conv_rate,stats:trips','before-online-only',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-from','Training','before-plain-list',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-digest','943bd4ed24d1e684ac57ba8685058670cc722eec918c1dc1270a471cda6bfd6a','before-plain-list',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/revision','sha256:36409b70c92e4fd1a3e9133a0af572169afb9226bd7da7a5e07d6583dfeb7231','before-plain-list',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/registry-digest','fcbd61c559727e1a3ceb70073cd85d3b0c2f8056c7edb4d7603f710ef445c3ea','before-plain-list',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/verdict','Verified','before-plain-list',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.project','before','before-plain-list',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_views','stats','before-plain-list',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_count','1','before-plain-list',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_refs','stats:trips','before-plain-list',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-from','Training','before-service',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-digest','4603313c520d541c1a1c5b42e2ffd8d76ecc2dea5323c3038de106a6e0e2d2c3','before-service',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/revision','sha256:36409b70c92e4fd1a3e9133a0af572169afb9226bd7da7a5e07d6583dfeb7231','before-service',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/registry-digest','fcbd61c559727e1a3ceb70073cd85d3b0c2f8056c7edb4d7603f710ef445c3ea','before-service',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/verdict','Verified','before-service',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.project','before','before-service',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_views','stats','before-service',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_count','2','before-service',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_refs','stats:conv_rate,stats:trips','before-service',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-from','Training','before-short-names',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-digest','4603313c520d541c1a1c5b42e2ffd8d76ecc2dea5323c3038de106a6e0e2d2c3','before-short-names',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/revision','sha256:36409b70c92e4fd1a3e9133a0af572169afb9226bd7da7a5e07d6583dfeb7231','before-short-names',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/registry-digest','fcbd61c559727e1a3ceb70073cd85d3b0c2f8056c7edb4d7603f710ef445c3ea','before-short-names',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/verdict','Verified','before-short-names',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.project','before','before-short-names',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_views','stats','before-short-names',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_count','2','before-short-names',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_refs','stats:conv_rate,stats:trips','before-short-names',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-from','Training','before-two-before',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/baseline-digest','4603313c520d541c1a1c5b42e2ffd8d76ecc2dea5323c3038de106a6e0e2d2c3','before-two-before',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/revision','sha256:36409b70c92e4fd1a3e9133a0af572169afb9226bd7da7a5e07d6583dfeb7231','before-two-before',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/registry-digest','fcbd61c559727e1a3ceb70073cd85d3b0c2f8056c7edb4d7603f710ef445c3ea','before-two-before',1,'default');
INSERT INTO "model_version_tags" VALUES('featurelineage.io/verdict','Verified','before-two-before',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.project','before','before-two-before',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_views','stats','before-two-before',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_count','2','before-two-before',1,'default');
INSERT INTO "model_version_tags" VALUES('feast.feature_refs','stats:conv_rate,stats:trips','before-two-before',1,'default');
CREATE TABLE "model_versions" (
	name VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	creation_time BIGINT, 
	last_updated_time BIGINT, 
	description VARCHAR(5000), 
	user_id VARCHAR(256), 
	current_stage VARCHAR(20), 
	source VARCHAR(500), 
	run_id VARCHAR(32), 
	status VARCHAR(20), 
	status_message VARCHAR(500), 
	run_link VARCHAR(500), 
	storage_location VARCHAR(500), 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT model_version_pk PRIMARY KEY (workspace, name, version), 
	CONSTRAINT fk_model_versions_registered_models FOREIGN KEY(workspace, name) REFERENCES registered_models (workspace, name) ON UPDATE CASCADE
);
INSERT INTO "model_versions" VALUES('before-service',1,1796071153369,1796071153369,'',NULL,'None','models:/m-bc73172c26cd425990ea5ab1710e613e','6f8a6feaafdb4b34a0263b7266a0a7ec','READY',NULL,'','mlflow-artifacts:/2/models/m-bc73172c26cd425990ea5ab1710e613e/artifacts','default');
INSERT INTO "model_versions" VALUES('before-plain-list',1,1796071157523,1796071157523,'',NULL,'None','models:/m-6ec967f75b5d45f0a33f424386aa950f','0a2b7e9681a548d49c224ac4191d435f','READY',NULL,'','mlflow-artifacts:/2/models/m-6ec967f75b5d45f0a33f424386aa950f/artifacts','default');
INSERT INTO "model_versions" VALUES('before-online-after',1,1796071160872,1796071160872,'',NULL,'None','models:/m-162ac7831f8e47639906cd5732c691a5','6ae7a3fc2a824dc69e432578fbe9e323','READY',NULL,'','mlflow-artifacts:/2/models/m-162ac7831f8e47639906cd5732c691a5/artifacts','default');
INSERT INTO "model_versions" VALUES('before-online-only',1,1796071165332,1796071165332,'',NULL,'None','models:/m-bd5bad60ef484006874d2963f35bddf0','0a68c7632cc049268d7ec6cc2d321a01','READY',NULL,'','mlflow-artifacts:/2/models/m-bd5bad60ef484006874d2963f35bddf0/artifacts','default');
INSERT INTO "model_versions" VALUES('before-two-before',1,1796071170647,1796071170647,'',NULL,'None','models:/m-5d2a7fee2bbe462eb9d5b03aff9c2a14','3efbc4b3b6484bf18fcdd03a5223e169','READY',NULL,'','mlflow-artifacts:/2/models/m-5d2a7fee2bbe462eb9d5b03aff9c2a14/artifacts','default');
INSERT INTO "model_versions" VALUES('before-short-names',1,1796071174348,1796071174348,'',NULL,'None','models:/m-f01d99ca1a1045a4927ce3e50423ccce','e3bb31e9e00c4d4e83c07c144c01259e','READY',NULL,'','mlflow-artifacts:/2/models/m-f01d99ca1a1045a4927ce3e50423ccce/artifacts','default');
INSERT INTO "model_versions" VALUES('before-changed',1,1796071178937,1796071178937,'',NULL,'None','models:/m-7b95a7349cac42fea9abe1655391012b','18c77e4be09f4e6e9cff868edab61130','READY',NULL,'','mlflow-artifacts:/2/models/m-7b95a7349cac42fea9abe1655391012b/artifacts','default');
CREATE TABLE online_scoring_configs (
	online_scoring_config_id VARCHAR(36) NOT NULL, 
	scorer_id VARCHAR(36) NOT NULL, 
	sample_rate FLOAT NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	filter_string TEXT, 
	CONSTRAINT online_scoring_config_pk PRIMARY KEY (online_scoring_config_id), 
	CONSTRAINT fk_online_scoring_configs_scorer_id FOREIGN KEY(scorer_id) REFERENCES scorers (scorer_id) ON DELETE CASCADE, 
	CONSTRAINT fk_online_scoring_configs_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE "params" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000) NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('feast.materialize.start_date','2026-10-31T20:00:00+00:00','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "params" VALUES('feast.materialize.end_date','2026-11-30T20:00:00+00:00','76ba2009bc4441bcb25db6b6708c0705');
CREATE TABLE "registered_model_aliases" (
	alias VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT registered_model_alias_pk PRIMARY KEY (workspace, name, alias), 
	CONSTRAINT fk_registered_model_aliases_registered_models FOREIGN KEY(workspace, name) REFERENCES registered_models (workspace, name) ON DELETE CASCADE ON UPDATE CASCADE
);
INSERT INTO "registered_model_aliases" VALUES('champion',1,'before-service','default');
INSERT INTO "registered_model_aliases" VALUES('champion',1,'before-plain-list','default');
INSERT INTO "registered_model_aliases" VALUES('champion',1,'before-online-after','default');
INSERT INTO "registered_model_aliases" VALUES('champion',1,'before-online-only','default');
INSERT INTO "registered_model_aliases" VALUES('champion',1,'before-two-before','default');
INSERT INTO "registered_model_aliases" VALUES('champion',1,'before-short-names','default');
INSERT INTO "registered_model_aliases" VALUES('champion',1,'before-changed','default');
CREATE TABLE "registered_model_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	name VARCHAR(256) NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT registered_model_tag_pk PRIMARY KEY (workspace, "key", name), 
	CONSTRAINT fk_registered_model_tags_registered_models FOREIGN KEY(workspace, name) REFERENCES registered_models (workspace, name) ON UPDATE CASCADE
);
CREATE TABLE "registered_models" (
	name VARCHAR(256) NOT NULL, 
	creation_time BIGINT, 
	last_updated_time BIGINT, 
	description VARCHAR(5000), 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT registered_model_pk PRIMARY KEY (workspace, name)
);
INSERT INTO "registered_models" VALUES('before-service',1796071153038,1796071153369,'','default');
INSERT INTO "registered_models" VALUES('before-plain-list',1796071157425,1796071157523,'','default');
INSERT INTO "registered_models" VALUES('before-online-after',1796071160780,1796071160872,'','default');
INSERT INTO "registered_models" VALUES('before-online-only',1796071165240,1796071165332,'','default');
INSERT INTO "registered_models" VALUES('before-two-before',1796071170525,1796071170647,'','default');
INSERT INTO "registered_models" VALUES('before-short-names',1796071174241,1796071174348,'','default');
INSERT INTO "registered_models" VALUES('before-changed',1796071178839,1796071178937,'','default');
CREATE TABLE review_queue_items (
	queue_id VARCHAR(36) NOT NULL, 
	item_type VARCHAR(16) NOT NULL, 
	item_id VARCHAR(50) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	completed_by VARCHAR(250), 
	completed_time_ms BIGINT, 
	creation_time_ms BIGINT NOT NULL, 
	last_update_time_ms BIGINT NOT NULL, 
	CONSTRAINT review_queue_items_pk PRIMARY KEY (queue_id, item_id), 
	CONSTRAINT fk_review_queue_items_queue_id FOREIGN KEY(queue_id) REFERENCES review_queues (queue_id) ON DELETE CASCADE
);
CREATE TABLE review_queue_label_schemas (
	queue_id VARCHAR(36) NOT NULL, 
	schema_id VARCHAR(36) NOT NULL, 
	CONSTRAINT review_queue_label_schemas_pk PRIMARY KEY (queue_id, schema_id), 
	CONSTRAINT fk_review_queue_label_schemas_queue_id FOREIGN KEY(queue_id) REFERENCES review_queues (queue_id) ON DELETE CASCADE
);
CREATE TABLE review_queue_users (
	queue_id VARCHAR(36) NOT NULL, 
	user_id VARCHAR(250) NOT NULL, 
	CONSTRAINT review_queue_users_pk PRIMARY KEY (queue_id, user_id), 
	CONSTRAINT fk_review_queue_users_queue_id FOREIGN KEY(queue_id) REFERENCES review_queues (queue_id) ON DELETE CASCADE
);
CREATE TABLE review_queues (
	queue_id VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(250) NOT NULL, 
	queue_type VARCHAR(16) NOT NULL, 
	created_by VARCHAR(255), 
	creation_time_ms BIGINT NOT NULL, 
	last_update_time_ms BIGINT NOT NULL, 
	name_key VARCHAR(250) NOT NULL, 
	CONSTRAINT review_queues_pk PRIMARY KEY (queue_id), 
	CONSTRAINT fk_review_queues_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE, 
	CONSTRAINT uq_review_queues_experiment_name_key UNIQUE (experiment_id, name_key)
);
CREATE TABLE "runs" (
	run_uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(250), 
	source_type VARCHAR(20), 
	source_name VARCHAR(500), 
	entry_point_name VARCHAR(50), 
	user_id VARCHAR(256), 
	status VARCHAR(9), 
	start_time BIGINT, 
	end_time BIGINT, 
	source_version VARCHAR(50), 
	lifecycle_stage VARCHAR(20), 
	artifact_uri VARCHAR(200), 
	experiment_id INTEGER, deleted_time BIGINT, 
	CONSTRAINT run_pk PRIMARY KEY (run_uuid), 
	CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')), 
	CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED'))
);
INSERT INTO "runs" VALUES('d899d70ec6fd4ff0b4eafecf13d1c033','apply_before','UNKNOWN','','','','FINISHED',1796071095686,1796071100961,'','active','mlflow-artifacts:/1/d899d70ec6fd4ff0b4eafecf13d1c033/artifacts',1,NULL);
INSERT INTO "runs" VALUES('76ba2009bc4441bcb25db6b6708c0705','materialize_before','UNKNOWN','','','','FINISHED',1796071101600,1796071108843,'','active','mlflow-artifacts:/1/76ba2009bc4441bcb25db6b6708c0705/artifacts',1,NULL);
INSERT INTO "runs" VALUES('6f8a6feaafdb4b34a0263b7266a0a7ec','fortunate-dolphin-63','UNKNOWN','','','trainer','FINISHED',1796071139975,1796071152898,'','active','mlflow-artifacts:/2/6f8a6feaafdb4b34a0263b7266a0a7ec/artifacts',2,NULL);
INSERT INTO "runs" VALUES('0a2b7e9681a548d49c224ac4191d435f','persistent-gnu-946','UNKNOWN','','','trainer','FINISHED',1796071154469,1796071157275,'','active','mlflow-artifacts:/2/0a2b7e9681a548d49c224ac4191d435f/artifacts',2,NULL);
INSERT INTO "runs" VALUES('6ae7a3fc2a824dc69e432578fbe9e323','redolent-yak-390','UNKNOWN','','','trainer','FINISHED',1796071158310,1796071162967,'','active','mlflow-artifacts:/2/6ae7a3fc2a824dc69e432578fbe9e323/artifacts',2,NULL);
INSERT INTO "runs" VALUES('0a68c7632cc049268d7ec6cc2d321a01','suave-fawn-944','UNKNOWN','','','trainer','FINISHED',1796071163199,1796071165025,'','active','mlflow-artifacts:/2/0a68c7632cc049268d7ec6cc2d321a01/artifacts',2,NULL);
INSERT INTO "runs" VALUES('3efbc4b3b6484bf18fcdd03a5223e169','sincere-toad-885','UNKNOWN','','','trainer','FINISHED',1796071166365,1796071170328,'','active','mlflow-artifacts:/2/3efbc4b3b6484bf18fcdd03a5223e169/artifacts',2,NULL);
INSERT INTO "runs" VALUES('e3bb31e9e00c4d4e83c07c144c01259e','rumbling-rat-409','UNKNOWN','','','trainer','FINISHED',1796071171595,1796071174099,'','active','mlflow-artifacts:/2/e3bb31e9e00c4d4e83c07c144c01259e/artifacts',2,NULL);
INSERT INTO "runs" VALUES('18c77e4be09f4e6e9cff868edab61130','incongruous-swan-300','UNKNOWN','','','trainer','FINISHED',1796071175329,1796071178604,'','active','mlflow-artifacts:/2/18c77e4be09f4e6e9cff868edab61130/artifacts',2,NULL);
INSERT INTO "runs" VALUES('1234edfbc02343df8e573be42010814b','apply_before','UNKNOWN','','','','FAILED',1796071200673,1796071207862,'','active','mlflow-artifacts:/1/1234edfbc02343df8e573be42010814b/artifacts',1,NULL);
INSERT INTO "runs" VALUES('21318ac45e46467189df77eb48bd1de0','apply_before','UNKNOWN','','','','FINISHED',1796071211976,1796071218372,'','active','mlflow-artifacts:/1/21318ac45e46467189df77eb48bd1de0/artifacts',1,NULL);
INSERT INTO "runs" VALUES('eae90fd3821b4ee3ae23c6de5e488fa1','apply_before','UNKNOWN','','','','FINISHED',1796071222913,1796071235289,'','active','mlflow-artifacts:/1/eae90fd3821b4ee3ae23c6de5e488fa1/artifacts',1,NULL);
CREATE TABLE scheduler_leases (
	lease_key VARCHAR(255) NOT NULL, 
	acquired_at BIGINT NOT NULL, 
	ttl_seconds INTEGER NOT NULL, 
	CONSTRAINT scheduler_leases_pk PRIMARY KEY (lease_key)
);
CREATE TABLE scorer_versions (
	scorer_id VARCHAR(36) NOT NULL, 
	scorer_version INTEGER NOT NULL, 
	serialized_scorer TEXT NOT NULL, 
	creation_time BIGINT, 
	CONSTRAINT scorer_version_pk PRIMARY KEY (scorer_id, scorer_version), 
	CONSTRAINT fk_scorer_versions_scorer_id FOREIGN KEY(scorer_id) REFERENCES scorers (scorer_id) ON DELETE CASCADE
);
CREATE TABLE scorers (
	experiment_id INTEGER NOT NULL, 
	scorer_name VARCHAR(256) NOT NULL, 
	scorer_id VARCHAR(36) NOT NULL, 
	CONSTRAINT scorer_pk PRIMARY KEY (scorer_id), 
	CONSTRAINT fk_scorers_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
CREATE TABLE "secrets" (
	secret_id VARCHAR(36) NOT NULL, 
	secret_name VARCHAR(255) NOT NULL, 
	encrypted_value BLOB NOT NULL, 
	wrapped_dek BLOB NOT NULL, 
	kek_version INTEGER NOT NULL, 
	masked_value VARCHAR(500) NOT NULL, 
	provider VARCHAR(64), 
	auth_config TEXT, 
	description TEXT, 
	created_by VARCHAR(255), 
	created_at BIGINT NOT NULL, 
	last_updated_by VARCHAR(255), 
	last_updated_at BIGINT NOT NULL, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT secrets_pk PRIMARY KEY (secret_id), 
	CONSTRAINT uq_secrets_workspace_secret_name UNIQUE (workspace, secret_name)
);
CREATE TABLE span_metrics (
	trace_id VARCHAR(50) NOT NULL, 
	span_id VARCHAR(50) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT, 
	CONSTRAINT span_metrics_pk PRIMARY KEY (trace_id, span_id, "key"), 
	CONSTRAINT fk_span_metrics_span FOREIGN KEY(trace_id, span_id) REFERENCES spans (trace_id, span_id) ON DELETE CASCADE
);
CREATE TABLE "spans" (
	trace_id VARCHAR(50) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	span_id VARCHAR(50) NOT NULL, 
	parent_span_id VARCHAR(50), 
	name TEXT, 
	type VARCHAR(500), 
	status VARCHAR(50) NOT NULL, 
	start_time_unix_nano BIGINT NOT NULL, 
	end_time_unix_nano BIGINT, 
	duration_ns BIGINT GENERATED ALWAYS AS (end_time_unix_nano - start_time_unix_nano) STORED, 
	content TEXT NOT NULL, 
	input_cost FLOAT, 
	output_cost FLOAT, 
	total_cost FLOAT, 
	model_name VARCHAR(500), 
	model_provider VARCHAR(500), 
	CONSTRAINT spans_pk PRIMARY KEY (trace_id, span_id), 
	CONSTRAINT fk_spans_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CONSTRAINT fk_spans_trace_id FOREIGN KEY(trace_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE sql_assessment_daily_rollups (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	rollup_day DATE NOT NULL, 
	metric_name VARCHAR(250) NOT NULL, 
	grouping_set VARCHAR(50) NOT NULL, 
	sample_count BIGINT NOT NULL, 
	sum_value FLOAT, 
	min_value FLOAT, 
	max_value FLOAT, 
	CONSTRAINT sql_assessment_daily_rollups_pk PRIMARY KEY (id)
);
CREATE TABLE sql_span_cost_daily_rollups (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	rollup_day DATE NOT NULL, 
	metric_name VARCHAR(250) NOT NULL, 
	grouping_set VARCHAR(50) NOT NULL, 
	model_name VARCHAR(500), 
	model_provider VARCHAR(500), 
	sample_count BIGINT NOT NULL, 
	sum_value FLOAT, 
	min_value FLOAT, 
	max_value FLOAT, 
	CONSTRAINT sql_span_cost_daily_rollups_pk PRIMARY KEY (id)
);
CREATE TABLE sql_trace_metric_daily_rollups (
	id INTEGER NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	rollup_day DATE NOT NULL, 
	metric_name VARCHAR(250) NOT NULL, 
	grouping_set VARCHAR(50) NOT NULL, 
	trace_status VARCHAR(50), 
	sample_count BIGINT NOT NULL, 
	sum_value FLOAT, 
	min_value FLOAT, 
	max_value FLOAT, 
	p50_value FLOAT, 
	p90_value FLOAT, 
	p99_value FLOAT, 
	CONSTRAINT sql_trace_metric_daily_rollups_pk PRIMARY KEY (id)
);
CREATE TABLE sql_trace_rollup_rebuild_queue (
	experiment_id INTEGER NOT NULL, 
	rollup_day DATE NOT NULL, 
	rollup_family VARCHAR(50) NOT NULL, 
	CONSTRAINT sql_trace_rollup_rebuild_queue_pk PRIMARY KEY (experiment_id, rollup_day, rollup_family)
);
CREATE TABLE "tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('featurelineage.io/operation-id','apply-1-7f532030196f6ec6','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('feast.project','before','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('feast.operation','apply','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('feast.feature_views_changed','odd,other,stats','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('feast.feature_views_created','odd,other,stats','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('feast.feature_services_changed','svc_a,svc_b,svc_odd,svc_other','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('feast.feature_services_created','svc_a,svc_b,svc_odd,svc_other','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('feast.entities_changed','driver','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('feast.entities_created','driver','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('featurelineage.io/operation','apply','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('featurelineage.io/resource','default/driver','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('featurelineage.io/revision','sha256:36409b70c92e4fd1a3e9133a0af572169afb9226bd7da7a5e07d6583dfeb7231','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('featurelineage.io/attempt','1','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('featurelineage.io/result','Succeeded','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('featurelineage.io/registry-digest','fcbd61c559727e1a3ceb70073cd85d3b0c2f8056c7edb4d7603f710ef445c3ea','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('featurelineage.io/plan-digest','1294042507267d650b105a676fc2b448c9e85973289a3eb8e8aa83c02ca0075b','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('mlflow.runName','apply_before','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('featurelineage.io/recorded','true','d899d70ec6fd4ff0b4eafecf13d1c033');
INSERT INTO "tags" VALUES('featurelineage.io/operation-id','materialize-2-a066c3ca81491ee8','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('feast.project','before','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('feast.operation','materialize','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('feast.materialize.feature_views','odd,other,stats','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('featurelineage.io/operation','materialize','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('featurelineage.io/resource','default/driver','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('featurelineage.io/revision','sha256:36409b70c92e4fd1a3e9133a0af572169afb9226bd7da7a5e07d6583dfeb7231','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('featurelineage.io/attempt','1','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('featurelineage.io/result','Succeeded','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('featurelineage.io/registry-digest','fcbd61c559727e1a3ceb70073cd85d3b0c2f8056c7edb4d7603f710ef445c3ea','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('mlflow.runName','materialize_before','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('featurelineage.io/recorded','true','76ba2009bc4441bcb25db6b6708c0705');
INSERT INTO "tags" VALUES('mlflow.user','trainer','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('mlflow.source.name','tests/local/upgrade/record.py','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','upgrade','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('feast.project','before','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('mlflow.runName','fortunate-dolphin-63','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('feast.retrieval_type','historical','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('feast.feature_service','svc_a','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('feast.feature_views','stats','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('feast.feature_refs','stats:conv_rate,stats:trips','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('feast.entity_count','2','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('feast.feature_count','2','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('feast.entity_df_type','dataframe','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('feast.entity_df_rows','2','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('feast.entity_df_columns','driver_id,event_timestamp','6f8a6feaafdb4b34a0263b7266a0a7ec');
INSERT INTO "tags" VALUES('mlflow.user','trainer','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('mlflow.source.name','tests/local/upgrade/record.py','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','upgrade','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('feast.project','before','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('mlflow.runName','persistent-gnu-946','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('feast.retrieval_type','historical','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('feast.feature_service','svc_a','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('feast.feature_views','stats','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('feast.feature_refs','stats:trips','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('feast.entity_count','2','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('feast.feature_count','1','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('feast.entity_df_type','dataframe','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('feast.entity_df_rows','2','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('feast.entity_df_columns','driver_id,event_timestamp','0a2b7e9681a548d49c224ac4191d435f');
INSERT INTO "tags" VALUES('mlflow.user','trainer','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('mlflow.source.name','tests/local/upgrade/record.py','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','upgrade','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('feast.project','before','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('mlflow.runName','redolent-yak-390','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('feast.retrieval_type','online','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('feast.feature_service','svc_b','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('feast.feature_views','stats','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('feast.feature_refs','stats:acc_rate','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('feast.entity_count','1','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('feast.feature_count','1','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('feast.entity_df_type','dataframe','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('feast.entity_df_rows','2','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('feast.entity_df_columns','driver_id,event_timestamp','6ae7a3fc2a824dc69e432578fbe9e323');
INSERT INTO "tags" VALUES('mlflow.user','trainer','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('mlflow.source.name','tests/local/upgrade/record.py','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','upgrade','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('feast.project','before','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('mlflow.runName','suave-fawn-944','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('feast.retrieval_type','online','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('feast.feature_service','svc_a','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('feast.feature_views','stats','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('feast.feature_refs','stats:conv_rate,stats:trips','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('feast.entity_count','1','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('feast.feature_count','2','0a68c7632cc049268d7ec6cc2d321a01');
INSERT INTO "tags" VALUES('mlflow.user','trainer','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('mlflow.source.name','tests/local/upgrade/record.py','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','upgrade','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('feast.project','before','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('mlflow.runName','sincere-toad-885','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('feast.retrieval_type','historical','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('feast.feature_service','svc_a','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('feast.feature_views','stats','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('feast.feature_refs','stats:conv_rate,stats:trips','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('feast.entity_count','2','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('feast.feature_count','2','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('feast.entity_df_type','dataframe','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('feast.entity_df_rows','2','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('feast.entity_df_columns','driver_id,event_timestamp','3efbc4b3b6484bf18fcdd03a5223e169');
INSERT INTO "tags" VALUES('mlflow.user','trainer','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('mlflow.source.name','tests/local/upgrade/record.py','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','upgrade','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('feast.project','before','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('mlflow.runName','rumbling-rat-409','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('feast.retrieval_type','historical','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('feast.feature_service','svc_a','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('feast.feature_views','stats','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('feast.feature_refs','stats:conv_rate,stats:trips','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('feast.entity_count','2','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('feast.feature_count','2','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('feast.entity_df_type','dataframe','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('feast.entity_df_rows','2','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('feast.entity_df_columns','driver_id,event_timestamp','e3bb31e9e00c4d4e83c07c144c01259e');
INSERT INTO "tags" VALUES('mlflow.user','trainer','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('mlflow.source.name','tests/local/upgrade/record.py','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('mlflow.source.git.commit','00fdef48878e8efdf02beddedc51a5236ba4a715','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('mlflow.source.git.branch','upgrade','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('feast.project','before','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('mlflow.runName','incongruous-swan-300','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('feast.retrieval_type','historical','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('feast.feature_service','svc_other','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('feast.feature_views','other','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('feast.feature_refs','other:left,other:kept','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('feast.entity_count','2','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('feast.feature_count','2','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('feast.entity_df_type','dataframe','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('feast.entity_df_rows','2','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('feast.entity_df_columns','driver_id,event_timestamp','18c77e4be09f4e6e9cff868edab61130');
INSERT INTO "tags" VALUES('featurelineage.io/operation-id','apply-3-3cbef9ceddd7c1ba','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('feast.project','before','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('feast.operation','apply','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/operation','apply','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/resource','default/driver','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/revision','sha256:99391f7eefba86e1700bbe316c031ee710ae203928feaec8a2dc46972e1b6d67','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/attempt','1','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/result','Blocked','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/reason','Blocked','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/error','revision sha256:99391f7eefba is not applied: it would affect 1 protected model version: before-changed v1 (@champion): other:left is gone. Change the commit, move the aliases, or annotate featurelineage.io/allow-breaking: "d3fe029ed7ed: <why>"','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/registry-digest','fcbd61c559727e1a3ceb70073cd85d3b0c2f8056c7edb4d7603f710ef445c3ea','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/plan-digest','d3fe029ed7eda815f808207a10bd3ca9cac76405507bd84a888808c378391a97','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('mlflow.runName','apply_before','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/recorded','true','1234edfbc02343df8e573be42010814b');
INSERT INTO "tags" VALUES('featurelineage.io/operation-id','apply-4-7462bdde1e2fc646','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('feast.project','before','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('feast.operation','apply','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('feast.feature_views_changed','other','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('feast.feature_views_updated','other','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('feast.feature_services_changed','svc_other','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('feast.feature_services_updated','svc_other','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('featurelineage.io/operation','apply','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('featurelineage.io/resource','default/driver','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('featurelineage.io/revision','sha256:99391f7eefba86e1700bbe316c031ee710ae203928feaec8a2dc46972e1b6d67','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('featurelineage.io/attempt','1','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('featurelineage.io/override','allow-breaking: retired','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('featurelineage.io/result','Succeeded','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('featurelineage.io/registry-digest','0713e941aa7b476a83419311e216cc49972b0ab1f37e23d523b280dc55050355','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('featurelineage.io/plan-digest','d3fe029ed7eda815f808207a10bd3ca9cac76405507bd84a888808c378391a97','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('mlflow.runName','apply_before','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('featurelineage.io/recorded','true','21318ac45e46467189df77eb48bd1de0');
INSERT INTO "tags" VALUES('featurelineage.io/operation-id','apply-5-06367c65c141fc42','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('feast.project','before','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('feast.operation','apply','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('featurelineage.io/operation','apply','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('featurelineage.io/resource','default/driver','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('featurelineage.io/revision','sha256:99391f7eefba86e1700bbe316c031ee710ae203928feaec8a2dc46972e1b6d67','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('featurelineage.io/attempt','1','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('featurelineage.io/result','Succeeded','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('featurelineage.io/registry-digest','0713e941aa7b476a83419311e216cc49972b0ab1f37e23d523b280dc55050355','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('featurelineage.io/plan-digest','79102ccbd4539efd96ed3763ca2dc2cf23c4d93fd80d9b2d9859dff4db6e12d8','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('mlflow.runName','apply_before','eae90fd3821b4ee3ae23c6de5e488fa1');
INSERT INTO "tags" VALUES('featurelineage.io/recorded','true','eae90fd3821b4ee3ae23c6de5e488fa1');
CREATE TABLE "trace_info" (
	request_id VARCHAR(50) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	timestamp_ms BIGINT NOT NULL, 
	execution_time_ms BIGINT, 
	status VARCHAR(50) NOT NULL, 
	client_request_id VARCHAR(50), 
	request_preview VARCHAR(1000), 
	response_preview VARCHAR(1000), 
	db_payload_generation INTEGER DEFAULT '0' NOT NULL, trace_name VARCHAR(4096), session_id VARCHAR(250), input_tokens BIGINT, output_tokens BIGINT, total_tokens BIGINT, cache_read_input_tokens BIGINT, cache_creation_input_tokens BIGINT, cache_creation_input_tokens_above_1hr BIGINT, input_cost FLOAT, output_cost FLOAT, total_cost FLOAT, 
	CONSTRAINT trace_info_pk PRIMARY KEY (request_id), 
	CONSTRAINT fk_trace_info_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);
CREATE TABLE trace_metrics (
	request_id VARCHAR(50) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT, 
	CONSTRAINT trace_metrics_pk PRIMARY KEY (request_id, "key"), 
	CONSTRAINT fk_trace_metrics_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE "trace_request_metadata" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	request_id VARCHAR(50) NOT NULL, 
	CONSTRAINT trace_request_metadata_pk PRIMARY KEY ("key", request_id), 
	CONSTRAINT fk_trace_request_metadata_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE "trace_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	request_id VARCHAR(50) NOT NULL, 
	CONSTRAINT trace_tag_pk PRIMARY KEY ("key", request_id), 
	CONSTRAINT fk_trace_tags_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE webhook_events (
	webhook_id VARCHAR(256) NOT NULL, 
	entity VARCHAR(50) NOT NULL, 
	action VARCHAR(50) NOT NULL, 
	CONSTRAINT webhook_event_pk PRIMARY KEY (webhook_id, entity, action), 
	FOREIGN KEY(webhook_id) REFERENCES webhooks (webhook_id) ON DELETE cascade
);
CREATE TABLE "webhooks" (
	webhook_id VARCHAR(256) NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	description VARCHAR(1000), 
	url VARCHAR(500) NOT NULL, 
	status VARCHAR(20) DEFAULT 'ACTIVE' NOT NULL, 
	secret VARCHAR(1000), 
	creation_timestamp BIGINT, 
	last_updated_timestamp BIGINT, 
	deleted_timestamp BIGINT, 
	workspace VARCHAR(63) DEFAULT 'default' NOT NULL, 
	CONSTRAINT webhook_pk PRIMARY KEY (webhook_id)
);
CREATE TABLE workspaces (
	name VARCHAR(63) NOT NULL, 
	description TEXT, 
	default_artifact_root TEXT, trace_archival_location TEXT, trace_archival_retention VARCHAR(32), 
	CONSTRAINT workspaces_pk PRIMARY KEY (name)
);
INSERT INTO "workspaces" VALUES('default','Default workspace for legacy resources',NULL,NULL,NULL);
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
CREATE INDEX index_latest_metrics_run_uuid ON latest_metrics (run_uuid);
CREATE INDEX index_inputs_destination_type_destination_id_source_type ON inputs (destination_type, destination_id, source_type);
CREATE INDEX index_inputs_input_uuid ON inputs (input_uuid);
CREATE INDEX index_params_run_uuid ON params (run_uuid);
CREATE INDEX index_trace_tags_request_id ON trace_tags (request_id);
CREATE INDEX index_trace_request_metadata_request_id ON trace_request_metadata (request_id);
CREATE INDEX index_tags_run_uuid ON tags (run_uuid);
CREATE INDEX index_datasets_dataset_uuid ON datasets (dataset_uuid);
CREATE INDEX index_datasets_experiment_id_dataset_source_type ON datasets (experiment_id, dataset_source_type);
CREATE INDEX index_logged_model_metrics_model_id ON logged_model_metrics (model_id);
CREATE INDEX index_entity_associations_association_id ON entity_associations (association_id);
CREATE INDEX index_entity_associations_reverse_lookup ON entity_associations (destination_type, destination_id, source_type, source_id);
CREATE INDEX idx_webhook_events_entity ON webhook_events (entity);
CREATE INDEX idx_webhook_events_action ON webhook_events (action);
CREATE INDEX idx_webhook_events_entity_action ON webhook_events (entity, action);
CREATE UNIQUE INDEX index_scorers_experiment_id_scorer_name ON scorers (experiment_id, scorer_name);
CREATE INDEX index_scorer_versions_scorer_id ON scorer_versions (scorer_id);
CREATE INDEX index_evaluation_dataset_tags_dataset_id ON evaluation_dataset_tags (dataset_id);
CREATE INDEX index_evaluation_dataset_records_dataset_id ON evaluation_dataset_records (dataset_id);
CREATE INDEX index_endpoint_model_mappings_endpoint_id ON endpoint_model_mappings (endpoint_id);
CREATE INDEX index_endpoint_model_mappings_model_definition_id ON endpoint_model_mappings (model_definition_id);
CREATE INDEX index_endpoint_tags_endpoint_id ON endpoint_tags (endpoint_id);
CREATE INDEX index_trace_metrics_request_id ON trace_metrics (request_id);
CREATE UNIQUE INDEX unique_endpoint_model_linkage_mapping ON endpoint_model_mappings (endpoint_id, model_definition_id, linkage_type);
CREATE INDEX index_span_metrics_trace_id_span_id ON span_metrics (trace_id, span_id);
CREATE INDEX index_evaluation_datasets_name ON evaluation_datasets (name);
CREATE INDEX index_evaluation_datasets_created_time ON evaluation_datasets (created_time);
CREATE INDEX idx_webhooks_status ON webhooks (status);
CREATE INDEX idx_webhooks_name ON webhooks (name);
CREATE TRIGGER prevent_secrets_aad_mutation
BEFORE UPDATE ON secrets
FOR EACH ROW
WHEN OLD.secret_id != NEW.secret_id OR OLD.secret_name != NEW.secret_name
BEGIN
    SELECT RAISE(ABORT, 'secret_id and secret_name are immutable (used as AAD in encryption)');
END;
CREATE INDEX index_model_definitions_secret_id ON model_definitions (secret_id);
CREATE INDEX index_model_definitions_provider ON model_definitions (provider);
CREATE INDEX index_jobs_name_status_creation_time ON jobs (job_name, workspace, status, creation_time);
CREATE INDEX idx_experiments_workspace ON experiments (workspace);
CREATE INDEX idx_registered_models_workspace ON registered_models (workspace);
CREATE INDEX idx_experiments_workspace_creation_time ON experiments (workspace, creation_time);
CREATE INDEX idx_evaluation_datasets_workspace ON evaluation_datasets (workspace);
CREATE INDEX idx_webhooks_workspace ON webhooks (workspace);
CREATE INDEX idx_secrets_workspace ON secrets (workspace);
CREATE INDEX idx_endpoints_workspace ON endpoints (workspace);
CREATE INDEX idx_model_definitions_workspace ON model_definitions (workspace);
CREATE INDEX idx_budget_policies_workspace ON budget_policies (workspace);
CREATE INDEX index_issues_experiment_id ON issues (experiment_id);
CREATE INDEX index_issues_source_run_id ON issues (source_run_id);
CREATE INDEX index_issues_status ON issues (status);
CREATE INDEX index_metrics_run_uuid_key_step ON metrics (run_uuid, "key", step);
CREATE INDEX idx_guardrails_workspace ON guardrails (workspace);
CREATE INDEX idx_guardrails_scorer ON guardrails (scorer_id, scorer_version);
CREATE INDEX idx_guardrail_configs_endpoint_id ON guardrail_configs (endpoint_id);
CREATE INDEX idx_guardrail_configs_guardrail_id ON guardrail_configs (guardrail_id);
CREATE INDEX idx_model_version_tags_workspace_name_version ON model_version_tags (workspace, name, version);
CREATE INDEX idx_registered_model_tags_workspace_name ON registered_model_tags (workspace, name);
CREATE INDEX index_label_schemas_experiment_id ON label_schemas (experiment_id);
CREATE INDEX index_review_queues_experiment_id ON review_queues (experiment_id);
CREATE INDEX index_review_queue_users_user_id ON review_queue_users (user_id);
CREATE INDEX index_review_queue_items_queue_id_status ON review_queue_items (queue_id, status);
CREATE INDEX index_review_queue_items_item_id ON review_queue_items (item_id);
CREATE INDEX index_review_queue_label_schemas_schema_id ON review_queue_label_schemas (schema_id);
CREATE INDEX idx_mcp_server_versions_latest ON mcp_server_versions (workspace, name, status, version_major DESC, version_minor DESC, version_patch DESC);
CREATE INDEX ix_mcp_access_endpoints_server_name ON mcp_access_endpoints (workspace, server_name);
CREATE INDEX ix_mcp_access_endpoints_version ON mcp_access_endpoints (workspace, server_name, server_version);
CREATE INDEX ix_mcp_access_endpoints_alias ON mcp_access_endpoints (workspace, server_name, server_alias);
CREATE INDEX idx_budget_policies_target_value ON budget_policies (target_value);
CREATE INDEX index_trace_info_experiment_id_timestamp_ms ON trace_info (experiment_id, timestamp_ms);
CREATE INDEX index_trace_info_timestamp_ms_request_id ON trace_info (timestamp_ms, request_id);
CREATE INDEX index_assessments_last_updated_timestamp ON assessments (last_updated_timestamp);
CREATE INDEX index_assessments_trace_id_created_timestamp ON assessments (trace_id, created_timestamp);
CREATE INDEX index_assessments_assessment_type ON assessments (assessment_type);
CREATE INDEX index_assessments_run_id_created_timestamp ON assessments (run_id, created_timestamp);
CREATE INDEX index_spans_experiment_id_status_type ON spans (experiment_id, status, type);
CREATE INDEX index_spans_experiment_id_start_time ON spans (experiment_id, start_time_unix_nano);
CREATE INDEX index_spans_experiment_id_type_status ON spans (experiment_id, type, status);
CREATE INDEX index_spans_experiment_id_duration ON spans (experiment_id, duration_ns);
CREATE INDEX index_trace_info_experiment_id_session_id ON trace_info (experiment_id, session_id);
CREATE INDEX idx_trace_rollups_lookup ON sql_trace_metric_daily_rollups (experiment_id, rollup_day, metric_name, grouping_set, trace_status);
CREATE INDEX idx_span_cost_rollups_lookup ON sql_span_cost_daily_rollups (experiment_id, rollup_day, metric_name, grouping_set, model_name, model_provider);
CREATE INDEX idx_assessment_rollups_lookup ON sql_assessment_daily_rollups (experiment_id, rollup_day, metric_name, grouping_set);
CREATE INDEX idx_spans_cost_trace_time_cover ON spans (trace_id, start_time_unix_nano);
CREATE INDEX idx_spans_cost_exp_time_cover ON spans (experiment_id, start_time_unix_nano);
CREATE INDEX idx_assessments_exp_trace_ts ON assessments (experiment_id, trace_timestamp_ms);
CREATE INDEX idx_assessments_exp_trace_ts_name ON assessments (experiment_id, trace_timestamp_ms, name);
CREATE INDEX idx_assessments_exp_name_valid ON assessments (experiment_id, name, valid);
CREATE INDEX index_job_locks_job_id ON job_locks (job_id);
CREATE INDEX index_jobs_status_lease_expires_at ON jobs (status, lease_expires_at);
COMMIT;
